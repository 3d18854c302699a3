# Writes survival_*.csv: three data sets (the package's own, and one drawn here) and R's answers.
# Rscript survival.R, in this folder.
suppressMessages({library(survival); library(cmprsk); library(jsonlite)})
options(digits = 17)
set.seed(7)
n <- 90
drawn <- data.frame(
  months = ceiling(rexp(n, 1 / 20)), # whole months: many ties
  cause = sample(0:2, n, TRUE, c(.2, .6, .2)),
  group = sample(c("high", "low", "middle"), n, TRUE),
  diameter_mm = round(runif(n, 10, 120)),
  cirrhosis = rbinom(n, 1, .7)
)
drawn$event <- as.integer(drawn$cause == 1)
write.csv(drawn, "survival_patients.csv", row.names = FALSE)

fit <- survfit(Surv(months, event) ~ group, drawn)
zero <- survfit0(fit)
curves <- data.frame(
  group = rep(sub("group=", "", names(zero$strata)), zero$strata), months = zero$time,
  survival = zero$surv, low = zero$lower, high = zero$upper)
curves$at_risk <- unlist(lapply(split(seq_along(zero$time), rep(seq_along(zero$strata), zero$strata)),
  function(i) zero$n.risk[i]))
write.csv(curves, "survival_curves.csv", row.names = FALSE)
middle <- summary(fit)$table

test <- survdiff(Surv(months, event) ~ group, drawn)
cox <- summary(coxph(Surv(months, event) ~ diameter_mm + cirrhosis, drawn, ties = "efron",
                     control = coxph.control(eps = 1e-12, toler.chol = 1e-13)))
competing <- cuminc(drawn$months, drawn$cause, drawn$group, cencode = 0)
at <- c(3, 6, 12, 24, 36, 60)
points <- timepoints(competing[names(competing) != "Tests"], at)
incidence <- data.frame(
  curve = rep(rownames(points$est), length(at)), months = rep(at, each = nrow(points$est)),
  incidence = c(points$est), variance = c(points$var))
write.csv(incidence, "survival_incidence.csv", row.names = FALSE)
write_json(list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                  cmprsk = as.character(packageVersion("cmprsk"))),
  median = data.frame(group = sub("group=", "", rownames(middle)), n = middle[, "records"],
                      events = middle[, "events"], median = middle[, "median"],
                      low = middle[, "0.95LCL"], high = middle[, "0.95UCL"]),
  logrank = list(statistic = test$chisq, p_value = test$pvalue),
  cox = data.frame(term = rownames(cox$coefficients), hazard_ratio = cox$conf.int[, 1],
                   low = cox$conf.int[, 3], high = cox$conf.int[, 4],
                   p_value = cox$coefficients[, 5])
), "survival.json", digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE)
