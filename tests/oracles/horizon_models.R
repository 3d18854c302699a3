# Writes horizon_models_patients.csv (drawn here) and horizon_models.json: inverse probability of
# censoring weights at a horizon, the weighted logistic model of both scores, and the Brier score.
# Rscript horizon_models.R, in this folder.
suppressMessages({library(survival); library(jsonlite)})
set.seed(24)
n <- 240
cs <- round(rnorm(n), 2)
d <- round(plogis(rnorm(n)), 3)
# whole months: events, deaths and censorings tie, in the horizons' own months too
event <- ceiling(rexp(n, .02 * exp(.6 * cs + .5 * qlogis(d))))
death <- ceiling(rexp(n, .01))
censored <- ceiling(runif(n, 0, 48))
months <- pmin(event, death, censored)
cause <- ifelse(event == months, 1, ifelse(death == months, 2, 0))
patients <- data.frame(fold = (seq_len(n) - 1) %% 5, months, cause, cs, d)
write.csv(patients, "horizon_models_patients.csv", row.names = FALSE)

# Model D's risk: its score's log odds recalibrated without the patient's own fold
tight <- glm.control(epsilon = 1e-14, maxit = 100)
ever <- cause == 1
logit <- qlogis(d)
recalibrated <- numeric(n)
for (k in unique(patients$fold)) {
  out <- patients$fold == k
  line <- glm(ever ~ logit, binomial, subset = !out, control = tight)
  recalibrated[out] <- coef(line)[1] + coef(line)[2] * logit[out]
}

# of one month events leave before censorings: these are moved to just after
later <- months + ifelse(cause == 0, 1e-6, 0)
curve <- survfit(Surv(later, cause == 0) ~ 1)
staying <- stepfun(curve$time, c(1, curve$surv))
rows <- lapply(c(6, 12, 24), function(horizon) {
  known <- months >= horizon | cause > 0
  # at a whole month the curve is as it was just before that month's censorings
  weight <- ifelse(known, 1 / staying(pmin(months, horizon)), 0)
  by_then <- as.numeric(months <= horizon & cause == 1)
  fit <- glm(by_then ~ cs + recalibrated, quasibinomial, weights = weight, control = tight)
  list(horizon_months = horizon, weight = weight, coefficients = unname(coef(fit)),
       brier = mean(weight * (by_then - d)^2))
})
write_json(list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
  rows = rows), "horizon_models.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
