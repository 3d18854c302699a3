# Writes agreement.json and agreement_readings.csv. Rscript agreement.R, in this folder.
# psych's weighted-kappa variance is wrong: kappa comes from vcd.
suppressMessages({library(psych); library(vcd); library(jsonlite)})
set.seed(3)
patient <- rnorm(40, 1.4, .4)
ratio <- data.frame(r1 = patient + rnorm(40, 0, .1), r2 = patient + .1 + rnorm(40, 0, .15),
                    r3 = patient + rnorm(40, 0, .1))
truth <- sample(c("absent", "non_intact", "intact"), 40, TRUE)
read <- function() ifelse(runif(40) < .75, truth, sample(c("absent", "non_intact", "intact"), 40, TRUE))
levels <- data.frame(capsule_r1 = read(), capsule_r2 = read())
write.csv(cbind(round(ratio, 4), levels), "agreement_readings.csv", row.names = FALSE)
ratio <- round(ratio, 4)
found <- ICC(ratio, lmer = FALSE)$results[1:3, ]
order <- c("absent", "non_intact", "intact")
crossed <- table(factor(levels$capsule_r1, order), factor(levels$capsule_r2, order))
one <- function(weights) {
  k <- Kappa(crossed, weights = weights)
  list(plain = unname(k$Unweighted), weighted = unname(k$Weighted))
}
write_json(list(
  versions = list(R = R.version.string, psych = as.character(packageVersion("psych")),
                  vcd = as.character(packageVersion("vcd"))),
  icc = data.frame(kind = found$type, icc = found$ICC, low = found$"lower bound",
                   high = found$"upper bound"),
  linear = one("Equal-Spacing"), quadratic = one("Fleiss-Cohen")
), "agreement.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
