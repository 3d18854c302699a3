# Writes ridge_patients.csv (drawn here) and ridge.json: penalised logistic models, the penalty
# chosen by AIC, and the optimism of three resamples. Rscript ridge.R, in this folder.
suppressMessages({library(rms); library(jsonlite)})
set.seed(105)
n <- 105
patients <- data.frame(
  log10_afp_ng_ml = round(abs(rnorm(n, 1.5, 1.2)), 3), diameter_mm = round(runif(n, 10, 150)),
  multinodular = rbinom(n, 1, .6), baseline_macrovascular_invasion = rbinom(n, 1, .2))
patients$progression <- rbinom(n, 1, plogis(
  -2 + .35 * patients$log10_afp_ng_ml + .008 * patients$diameter_mm +
    .4 * patients$multinodular + .3 * patients$baseline_macrovascular_invasion))
write.csv(patients, "ridge_patients.csv", row.names = FALSE)

factors <- setdiff(names(patients), "progression")
formula <- reformulate(factors, "progression")
grid <- 2^seq(-2, 6, by = .5)
# lrm stops at a deviance change of 0.025 unless told otherwise
fitted <- function(d, penalty)
  lrm(formula, d, penalty = penalty, x = TRUE, y = TRUE, eps = 1e-12, maxit = 100, tol = 1e-14)
traced <- function(d) {
  plain <- fitted(d, 0)
  exact <- function(x, y, maxit, tol, ...)
    lrm.fit(x, y, maxit = if (maxit == 1) 1 else 100, tol = 1e-14, eps = 1e-12, ...)
  pentrace(plain, grid, which = "aic", fitter = exact, noaddzero = TRUE)
}
models <- lapply(c(0, .5, 4, 32, 200), function(penalty) {
  found <- fitted(patients, penalty)
  list(penalty = penalty, coefficients = unname(coef(found)))
})
chosen <- traced(patients)

figures <- function(d, model) {
  log_odds <- drop(cbind(1, as.matrix(d[factors])) %*% coef(model))
  risk <- plogis(log_odds)
  event <- d$progression
  brier <- mean((risk - event)^2)
  c(auc = unname(Hmisc::somers2(risk, event)["C"]),
    calibration_slope = unname(coef(glm(event ~ log_odds, binomial, epsilon = 1e-14, maxit = 100))[2]),
    brier = brier, scaled_brier = 1 - brier / (mean(event) * (1 - mean(event))))
}
developed <- function(d) fitted(d, traced(d)$penalty)
apparent <- figures(patients, developed(patients))
resamples <- lapply(1:3, function(b) {
  rows <- sample(n, n, TRUE)
  drawn <- patients[rows, ]
  rownames(drawn) <- NULL
  model <- developed(drawn)
  list(rows = rows - 1, penalty = traced(drawn)$penalty, resample = as.list(figures(drawn, model)),
       patients = as.list(figures(patients, model)))
})
write_json(list(
  versions = list(R = R.version.string, rms = as.character(packageVersion("rms")),
                  Hmisc = as.character(packageVersion("Hmisc"))),
  factors = factors, models = models,
  trace = list(penalty = chosen$results.all$penalty, effective_df = chosen$results.all$df,
               aic = chosen$results.all$aic, chosen = chosen$penalty, df = chosen$df),
  apparent = as.list(apparent), resamples = resamples
), "ridge.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
