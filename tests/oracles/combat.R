# Writes combat_features.csv (drawn here) and combat.json: features harmonised between centres by
# sva::ComBat, parametric, without covariates. Rscript combat.R, in this folder.
suppressMessages({library(sva); library(jsonlite)})
set.seed(58)
centre <- rep(c("a", "b", "c"), c(20, 12, 7))
n <- length(centre)
shift <- c(a = 0, b = 1.5, c = -1); spread <- c(a = 1, b = 2, c = 0.6)
feature <- function(mean, sd, own)
  round(mean + sd * (shift[centre] * own + spread[centre] * rnorm(n)), 4)
features <- data.frame(
  mean_hu = feature(60, 20, 1), sd_hu = feature(25, 5, .8), entropy_bits = feature(3, .4, 1.3),
  glcm_contrast = feature(4, 1.5, .4), longest_axis_mm = feature(50, 25, 0), row.names = NULL)
# one that does not vary in a centre: ComBat leaves it as it is
features$glcm_correlation <- ifelse(centre == "c", .5, round(runif(n), 3))
write.csv(cbind(centre, features), "combat_features.csv", row.names = FALSE)
# ComBat's iteration stops at a relative change of 1e-4 unless told otherwise
to_the_end <- sva:::it.sol
formals(to_the_end)$conv <- 1e-13
assignInNamespace("it.sol", to_the_end, "sva")
found <- suppressMessages(ComBat(t(as.matrix(features)), centre))
write_json(list(
  versions = list(R = R.version.string, sva = as.character(packageVersion("sva"))),
  harmonised = as.list(as.data.frame(t(found)))), "combat.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
