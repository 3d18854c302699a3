# Writes pooling.json: metafor's random effects of three sets of estimates.
# Rscript pooling.R, in this folder.
suppressMessages({library(metafor); library(jsonlite)})
sets <- list(
  apart = list(y = c(0.4, 1.3, 2.4, 0.9, 1.8), se = c(0.25, 0.3, 0.4, 0.2, 0.5)),
  alike = list(y = c(1.20, 1.25, 1.22), se = c(0.4, 0.5, 0.45)),
  some = list(y = c(1.6, 0.7, 1.9), se = c(0.35, 0.3, 0.6)),
  two = list(y = c(0.5, 1.5), se = c(0.3, 0.35)))
found <- lapply(sets, function(s) {
  fit <- rma(s$y, sei = s$se, method = "REML", test = "adhoc",
             control = list(threshold = 1e-13, maxiter = 10000))
  p <- predict(fit)
  list(y = s$y, se = s$se, mean = p$pred, between = fit$tau2, se_mean = fit$se, low = p$ci.lb,
       high = p$ci.ub, next_low = p$pi.lb, next_high = p$pi.ub,
       weights = unname(weights(fit)) / 100)
})
write_json(list(
  versions = list(R = R.version.string, metafor = as.character(packageVersion("metafor"))),
  sets = found), "pooling.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
