# Writes readers.json and readers.csv. Rscript readers.R, in this folder.
# Three readers' diameters in mm: a few missing, a few of another lesion. Invented.
suppressMessages({library(psych); library(jsonlite)})
set.seed(11)
patient <- exp(rnorm(40, 4, .5))
readings <- data.frame(recist_mm_r1 = patient + rnorm(40, 0, 5),
                       recist_mm_r2 = patient + rnorm(40, 3, 6),
                       recist_mm_r3 = patient + rnorm(40, 0, 5))
readings$recist_mm_r3[5:7] <- 2 * readings$recist_mm_r3[5:7]
readings <- round(readings, 1)
readings$recist_mm_r1[1:3] <- NA
readings$recist_mm_r2[c(3, 20)] <- NA
write.csv(readings, "readers.csv", row.names = FALSE, na = "")
complete <- na.omit(readings)
found <- ICC(complete, lmer = FALSE)$results[2:3, ]
limits <- function(pair) {
  difference <- na.omit(readings[[pair[1]]] - readings[[pair[2]]])
  n <- length(difference); sd <- sd(difference); t <- qt(.975, n - 1)
  around <- function(at, se) c(at, at - t * se, at + t * se)
  se_limit <- sd * sqrt(1 / n + 1.96^2 / (2 * (n - 1)))
  c(n, around(mean(difference), sd / sqrt(n)), sd,
    around(mean(difference) - 1.96 * sd, se_limit), around(mean(difference) + 1.96 * sd, se_limit))
}
table <- t(apply(combn(names(readings), 2), 2, limits))
colnames(table) <- c("n", "bias", "bias_low", "bias_high", "sd", "lower", "lower_low",
                     "lower_high", "upper", "upper_low", "upper_high")
write_json(list(
  versions = list(R = R.version.string, psych = as.character(packageVersion("psych"))),
  icc = data.frame(n = nrow(complete), estimate = found$ICC, low = found$"lower bound",
                   high = found$"upper bound"),
  limits = as.data.frame(table)
), "readers.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
