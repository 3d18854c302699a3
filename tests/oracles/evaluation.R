# Values for tests/test_{discrimination,reclassification,calibration,decision_curve}.py.
# From this folder: Rscript evaluation.R
# Writes evaluation_40.csv, evaluation_332.csv (invented patients: risk_a has ties, risk_b is
# recorded finer), evaluation_300.csv (ties, and risks that are not known), evaluation_separated.csv
# (40 patients whom risk_b tells apart) and evaluation.json: what R finds in them and in 20 000
# patients of a rule (twenty_thousand below; tests/oracle_patients.py has the same), with the
# versions used.
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

# whole numbers from a congruential rule that doubles hold exactly, so that every language has them
twenty_thousand <- function() {
  n <- 20000
  x <- numeric(4 * n)
  state <- 20240503
  for (k in seq_along(x)) x[k] <- state <- (16807 * state) %% 2147483647
  x <- matrix(x, ncol = 4, byrow = TRUE)
  percent <- x[, 1] %% 98 + 1
  inside <- function(x, most) pmin(pmax(x, 1), most)
  data.frame(event = as.integer(x[, 2] %% 150 < percent),
             risk_a = inside(percent + x[, 3] %% 81 - 40, 99) / 100,
             risk_b = inside(10 * percent + x[, 4] %% 401 - 200, 999) / 1000)
}

smooth <- function(d, risk) {
  control <- loess.control(statistics = "approximate", trace.hat = "approximate")
  d$risk <- d[[risk]]
  fit <- suppressWarnings(loess(event ~ risk, d, control = control))
  distance <- abs(predict(fit) - d$risk)
  at <- unname(quantile(d$risk, .05) + diff(quantile(d$risk, c(.05, .95))) * c(0, .5, 1))
  list(ici = mean(distance), e50 = median(distance), e90 = unname(quantile(distance, .9)),
       curve = pmin(pmax(unname(predict(fit, data.frame(risk = at))), 0), 1))
}

hosmer_lemeshow <- function(d) {
  group <- cut(d$risk_b, unique(quantile(d$risk_b, (0:10) / 10)), include.lowest = TRUE)
  seen <- rowsum(cbind(d$event, 1 - d$event), group)
  expected <- rowsum(cbind(d$risk_b, 1 - d$risk_b), group)
  chi <- sum((seen - expected)^2 / expected)
  list(chi_square = chi, df = nrow(seen) - 2,
       p_value = pchisq(chi, nrow(seen) - 2, lower.tail = FALSE))
}

# what risk_b adds to risk_a: the likelihood-ratio statistic
added <- function(d) {
  old <- glm(event ~ qlogis(risk_a), binomial, d, control = tight)
  new <- glm(event ~ qlogis(risk_a) + qlogis(risk_b), binomial, d, control = tight)
  anova(old, new)$Deviance[2]
}

tight <- glm.control(epsilon = 1e-14, maxit = 100)

calibration <- function(d) {
  lp <- qlogis(d$risk_b)
  large <- glm(event ~ 1, offset = lp, family = binomial, data = d, control = tight)
  slope <- glm(event ~ lp, family = binomial, data = d, control = tight)
  list(intercept = unname(coef(large)), intercept_low = confint.default(large)[1, 1],
       intercept_high = confint.default(large)[1, 2],
       slope = unname(coef(slope)[2]), slope_low = confint.default(slope)[2, 1],
       slope_high = confint.default(slope)[2, 2],
       brier = mean((d$risk_b - d$event)^2),
       scaled_brier = 1 - mean((d$risk_b - d$event)^2) / mean((mean(d$event) - d$event)^2),
       observed_expected = sum(d$event) / sum(d$risk_b))
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
  smooth_a = smooth(d, "risk_a"), smooth_b = smooth(d, "risk_b"),
  hosmer_lemeshow = hosmer_lemeshow(d), net_benefit = net_benefit(d))
bootstrap <- function(d) {
  set.seed(20240506)
  r <- roc(d$event, d$risk_a, direction = "<", levels = c(0, 1), quiet = TRUE)
  ci.auc(r, method = "bootstrap", boot.n = 20000, progress = "none")[c(1, 3)]
}
fitted <- function(d) c(values(d), list(calibration = calibration(d), added = added(d)))

small <- patients(40, 20240501)
large <- patients(332, 20240502)
gaps <- patients(300, 20240504)
gaps$risk_a[sample(300, 20)] <- NA
gaps$risk_b[sample(300, 15)] <- NA
known <- na.omit(gaps)
apart <- patients(40, 20240505)
apart$risk_b <- pmin(apart$risk_b, 0.3 + apart$risk_a / 100) + 0.4 * apart$event
huge <- twenty_thousand()
for (name in c("small", "large", "gaps", "apart"))
  write.csv(get(name), sprintf("evaluation_%s.csv", c(small = "40", large = "332", gaps = "300",
            apart = "separated")[name]), row.names = FALSE, quote = FALSE)
of_large <- fitted(large)
of_large$a$bootstrap <- bootstrap(large)
write_json(list(
  versions = list(R = as.character(getRversion()), pROC = as.character(packageVersion("pROC")),
                  Hmisc = as.character(packageVersion("Hmisc"))),
  "40" = fitted(small), "332" = of_large, "300" = fitted(known), "20000" = fitted(huge),
  separated = values(apart), unpaired = unpaired(small, large),
  unpaired_huge = unpaired(known, huge)),
  "evaluation.json", auto_unbox = TRUE, digits = NA, pretty = TRUE)
