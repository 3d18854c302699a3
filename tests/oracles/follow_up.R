# Writes follow_up.json, of the data in survival_patients.csv. Rscript follow_up.R, in this folder.
suppressMessages({library(survival); library(cmprsk); library(jsonlite)})
patients <- read.csv("survival_patients.csv")
by_group <- summary(survfit(Surv(months, cause == 0) ~ group, patients))$table
all <- summary(survfit(Surv(months, cause == 0) ~ 1, patients))$table
columns <- c("records", "events", "median", "0.95LCL", "0.95UCL")
reverse <- as.data.frame(rbind(all[columns], by_group[, columns]))
names(reverse) <- c("n", "followed", "median_months", "low", "high")
competing <- cuminc(patients$months, patients$cause, cencode = 0)
at <- function(horizon) {
  point <- timepoints(competing, horizon)
  incidence <- point$est["1 1", 1]; se <- sqrt(point$var["1 1", 1])
  wide <- qnorm(.975) * se / (incidence * log(incidence))
  known <- patients$months >= horizon | patients$cause > 0
  events <- sum(patients$cause == 1 & patients$months <= horizon)
  share <- suppressWarnings(prop.test(events, sum(known), correct = FALSE))
  list(months = horizon, known = sum(known), events = events, complete = unname(share$estimate),
       complete_low = share$conf.int[1], complete_high = share$conf.int[2],
       incidence = incidence, incidence_low = incidence^exp(-wide), incidence_high = incidence^exp(wide))
}
write_json(list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                  cmprsk = as.character(packageVersion("cmprsk"))),
  reverse = cbind(centre = c("all", sub("group=", "", rownames(by_group))), reverse),
  fractions = lapply(c(12, 24), at)
), "follow_up.json", digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE)
