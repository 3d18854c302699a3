# Writes time_course_patients.csv (drawn here) and time_course.json: an event with deaths after the
# last visit. Rscript time_course.R, in this folder.
suppressMessages({library(survival); library(cmprsk); library(jsonlite)})
options(digits = 17)
set.seed(21)
n <- 96
stage <- sample(c("A", "B", "C"), n, TRUE, c(.3, .4, .3))
event <- rexp(n, .035)
visits <- runif(n, 2, 30)
death <- rexp(n, .02) * ifelse(stage == "A", 1.5, 1)
contact <- visits + runif(n, 0, 40)
last <- pmin(visits, death)
drawn <- data.frame(
  bclc = stage,
  progression = as.integer(event <= last),
  months_to_progression = ceiling(pmin(event, last)), # whole months: many ties
  death = as.integer(death <= contact),
  months_to_death = ceiling(pmin(death, contact)))
write.csv(drawn, "time_course_patients.csv", row.names = FALSE)

at <- c(6, 12, 24)
z <- qnorm(.975)
fit <- summary(survfit(Surv(months_to_progression, progression) ~ 1, drawn), times = at)
censored <- data.frame(coding = "censored", months = at, estimate = 1 - fit$surv,
                       low = 1 - fit$upper, high = 1 - fit$lower, at_risk = fit$n.risk)
competing <- function(coding, months) {
  cause <- with(drawn, ifelse(progression == 1, 1, ifelse(death == 1, 2, 0)))
  points <- timepoints(cuminc(months, cause, cencode = 0), at)
  estimate <- points$est["1 1", ]
  width <- z * sqrt(points$var["1 1", ]) / (estimate * log(estimate)) # log(-log) scale
  data.frame(coding = coding, months = at, estimate = estimate, low = estimate^exp(-width),
             high = estimate^exp(width), at_risk = sapply(at, function(t) sum(months >= t)))
}
# the living are followed to their last contact too
own <- with(drawn, ifelse(progression == 0, months_to_death, months_to_progression))
codings <- rbind(censored, competing("death_at_last_visit", drawn$months_to_progression),
                 competing("followed_to_death", own))

hazards <- function(outcome, months) {
  d <- data.frame(months = drawn[[months]], event = drawn[[outcome]], bclc = drawn$bclc)
  fit <- summary(coxph(Surv(months, event) ~ bclc, d, ties = "efron",
                       control = coxph.control(eps = 1e-12, toler.chol = 1e-13)))
  middle <- summary(survfit(Surv(months, event) ~ bclc, d))$table
  list(outcome = outcome, p_value = survdiff(Surv(months, event) ~ bclc, d)$pvalue,
       cox = data.frame(group = sub("bclc", "", rownames(fit$coefficients)),
                        hazard_ratio = fit$conf.int[, 1], low = fit$conf.int[, 3],
                        high = fit$conf.int[, 4], p_value = fit$coefficients[, 5],
                        row.names = NULL),
       median = data.frame(group = sub("bclc=", "", rownames(middle)), n = middle[, "records"],
                           events = middle[, "events"], median_months = middle[, "median"],
                           low = middle[, "0.95LCL"], high = middle[, "0.95UCL"],
                           row.names = NULL))
}
write_json(list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival")),
                  cmprsk = as.character(packageVersion("cmprsk"))),
  codings = codings,
  outcomes = list(hazards("progression", "months_to_progression"),
                  hazards("death", "months_to_death"))
), "time_course.json", digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE)
