# Values for tests/test_{discrimination,reclassification,calibration,decision_curve}.py.
# From this folder: Rscript evaluation.R
# Writes evaluation_40.csv, evaluation_332.csv (invented patients: risk_a has ties, risk_b is
# recorded finer) and evaluation.json (what R finds in them, with the versions used).
suppressMessages({library(pROC); library(Hmisc); library(jsonlite)})

patients <- function(n, seed) {
  set.seed(seed)
  latent <- rnorm(n)
  event <- rbinom(n, 1, plogis(-1 + 1.2 * latent))
  inside <- function(x, digits) pmin(pmax(round(x, digits), 0.01), 0.99)
  data.frame(
    event = event,
    risk_a = inside(plogis(-0.6 + 0.7 * latent + rnorm(n, 0, 0.8)), 2),
    risk_b = inside(plogis(-1.2 + 1.5 * latent + rnorm(n, 0, 0.7)), 3)
  )
}

delong <- function(d, risk) {
  r <- roc(d$event, d[[risk]], direction = "<", levels = c(0, 1), quiet = TRUE)
  best <- coords(r, "best", ret = c("sensitivity", "specificity"), transpose = FALSE)
  interval <- ci.auc(r, method = "delong")
  list(auc = as.numeric(r$auc), se = sqrt(var(r, method = "delong")), low = interval[1],
       high = interval[3], youden_sensitivity = best$sensitivity,
       youden_specificity = best$specificity)
}

paired <- function(d) {
  a <- roc(d$event, d$risk_a, direction = "<", levels = c(0, 1), quiet = TRUE)
  b <- roc(d$event, d$risk_b, direction = "<", levels = c(0, 1), quiet = TRUE)
  test <- roc.test(a, b, method = "delong", paired = TRUE)
  list(z = unname(test$statistic), p_value = test$p.value,
       low = unname(test$conf.int[1]), high = unname(test$conf.int[2]))
}

unpaired <- function(d, e) {
  a <- roc(d$event, d$risk_a, direction = "<", levels = c(0, 1), quiet = TRUE)
  b <- roc(e$event, e$risk_a, direction = "<", levels = c(0, 1), quiet = TRUE)
  test <- roc.test(a, b, method = "delong", paired = FALSE)
  list(difference = as.numeric(a$auc - b$auc), z = unname(test$statistic),
       df = unname(test$parameter), p_value = test$p.value)
}

improvement <- function(old, new, event) {
  i <- improveProb(old, new, event)
  list(nri = i$nri, se = i$se.nri, z = i$z.nri, p_value = 2 * pnorm(-abs(i$z.nri)),
       events = i$nri.ev, non_events = i$nri.ne,
       idi = i$idi, idi_se = i$se.idi, idi_z = i$z.idi, idi_p_value = 2 * pnorm(-abs(i$z.idi)))
}

loess_ici <- function(d, surface) {
  fit <- suppressWarnings(
    loess(event ~ risk_b, d, control = loess.control(surface = surface, statistics = "approximate")))
  mean(abs(predict(fit) - d$risk_b))
}

calibration <- function(d) {
  lp <- qlogis(d$risk_b)
  tight <- glm.control(epsilon = 1e-14, maxit = 100)
  large <- glm(event ~ 1, offset = lp, family = binomial, data = d, control = tight)
  slope <- glm(event ~ lp, family = binomial, data = d, control = tight)
  list(intercept = unname(coef(large)), intercept_low = confint.default(large)[1, 1],
       intercept_high = confint.default(large)[1, 2],
       slope = unname(coef(slope)[2]), slope_low = confint.default(slope)[2, 1],
       slope_high = confint.default(slope)[2, 2],
       brier = mean((d$risk_b - d$event)^2),
       ici = loess_ici(d, "direct"), ici_interpolated = loess_ici(d, "interpolate"))
}

net_benefit <- function(d) {
  cuts <- (1:99) / 100
  sapply(cuts, function(t)
    mean(d$risk_a >= t & d$event == 1) - mean(d$risk_a >= t & d$event == 0) * t / (1 - t))
}

values <- function(d) list(
  a = delong(d, "risk_a"), b = delong(d, "risk_b"), paired = paired(d),
  continuous = improvement(d$risk_a, d$risk_b, d$event),
  # improveProb counts moves up and down: category codes give the categorical NRI
  categorical = improvement(findInterval(d$risk_a, c(.2, .4)) / 10,
                            findInterval(d$risk_b, c(.2, .4)) / 10, d$event),
  calibration = calibration(d), net_benefit = net_benefit(d))

small <- patients(40, 20240501)
large <- patients(332, 20240502)
write.csv(small, "evaluation_40.csv", row.names = FALSE, quote = FALSE)
write.csv(large, "evaluation_332.csv", row.names = FALSE, quote = FALSE)
write_json(list(
  versions = list(R = as.character(getRversion()), pROC = as.character(packageVersion("pROC")),
                  Hmisc = as.character(packageVersion("Hmisc"))),
  "40" = values(small), "332" = values(large), unpaired = unpaired(small, large)),
  "evaluation.json", auto_unbox = TRUE, digits = NA, pretty = TRUE)
