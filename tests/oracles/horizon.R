# Writes horizon_patients.csv (drawn here) and horizon.json: the AUC at a horizon with competing
# events, without them, and with nobody censored. Rscript horizon.R, in this folder.
suppressMessages({library(survival); library(riskRegression); library(prodlim); library(jsonlite)})
set.seed(12)
n <- 105
# months and risks are rounded, so that events, censorings and risks tie
patients <- data.frame(
  event = rexp(n, .05), death = rexp(n, .03), censored = runif(n, 0, 40),
  risk = round(runif(n, .05, .95), 1))
patients$event <- patients$event * exp(3 * (.5 - patients$risk))
first <- pmin(patients$event, patients$death, patients$censored)
patients$months <- ceiling(first)
patients$cause <- ifelse(first == patients$censored, 0, ifelse(first == patients$event, 1, 2))
patients <- patients[, c("months", "cause", "risk")]
write.csv(patients, "horizon_patients.csv", row.names = FALSE)

area <- function(cause, horizon) {
  d <- data.frame(months = patients$months, cause = cause)
  found <- Score(list(risk = patients$risk), Hist(months, cause) ~ 1, d, times = horizon,
                 metrics = "AUC", cens.model = "km", null.model = FALSE, se.fit = FALSE)
  found$AUC$score$AUC
}
ways <- list(competing = patients$cause, censored = ifelse(patients$cause == 2, 0, patients$cause),
             followed = ifelse(patients$cause == 0, 2, patients$cause))
rows <- list()
for (way in names(ways)) for (horizon in c(3, 6, 12, 24))
  rows[[length(rows) + 1]] <- list(way = way, horizon_months = horizon,
                                   auc = area(ways[[way]], horizon))
write_json(list(
  versions = list(R = R.version.string, riskRegression = as.character(packageVersion("riskRegression")),
                  prodlim = as.character(packageVersion("prodlim"))),
  rows = rows), "horizon.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
