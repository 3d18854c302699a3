# Writes clinical_patients.csv (drawn here) and clinical.json: stepAIC, likelihood-ratio tests,
# standard errors and Firth's estimates. Rscript clinical.R, in this folder.
suppressMessages({library(MASS); library(brglm2); library(jsonlite)})
set.seed(11)
draw <- function(set, n) {
  d <- data.frame(
    set = set, age_years = round(rnorm(n, 58, 10)), diameter_mm = round(runif(n, 10, 130)),
    capsule = sample(c("absent", "non_intact", "intact"), n, TRUE),
    lobe = sample(c("left", "right", "cross"), n, TRUE),
    cirrhosis = rbinom(n, 1, .6), mosaic = rbinom(n, 1, .4), nodule_in_nodule = rbinom(n, 1, .3),
    neutrophil_to_lymphocyte = round(rlnorm(n, 1, .4), 2))
  lp <- -2 + .02 * d$diameter_mm - 1.2 * (d$capsule == "intact") + .6 * d$cirrhosis +
    .7 * d$nodule_in_nodule
  d$aggressive_pd <- rbinom(n, 1, plogis(lp))
  d$repeated_mm <- 2 * d$diameter_mm + 1
  d
}
drawn <- rbind(draw("paper", 236), draw("small", 60), draw("holes", 120))
holes <- which(drawn$set == "holes")
drawn$age_years[holes[c(3, 40)]] <- NA
drawn$capsule[holes[7]] <- NA
drawn$mosaic[holes[c(9, 11, 80)]] <- NA
write.csv(drawn, "clinical_patients.csv", row.names = FALSE, na = "")

# Correlated numbers: among these draws, the first in which a variable that left comes back.
correlated <- paste0("x", 1:7)
for (seed in 1:3000) {
  set.seed(seed)
  shared <- rnorm(60)
  returns <- as.data.frame(sapply(correlated, function(x) round(shared + rnorm(60), 2)))
  returns$aggressive_pd <- rbinom(60, 1, plogis(with(returns, x1 - x2 + .7 * x3 - .7 * x4)))
  step <- tryCatch(
    stepAIC(do.call(glm, list(reformulate(correlated, "aggressive_pd"), binomial, returns)),
            direction = "both", trace = 0), warning = function(w) NULL)
  if (any(grepl("+ ", step$anova$Step, fixed = TRUE))) break
}
write.csv(returns, "clinical_returns.csv", row.names = FALSE)

drawn$capsule <- factor(drawn$capsule, c("absent", "non_intact", "intact"))
drawn$lobe <- factor(drawn$lobe, c("left", "right", "cross"))
candidates <- c("age_years", "diameter_mm", "capsule", "lobe", "cirrhosis", "mosaic",
                "nodule_in_nodule", "neutrophil_to_lymphocyte")
# epsilon also sets glm's tolerance for repeated columns (a thousandth of it)
control <- glm.control(epsilon = 1e-10, maxit = 100)
selection <- function(set, direction, names = candidates) {
  d <- if (set == "returns") returns else na.omit(drawn[drawn$set == set, ])
  full <- reformulate(names, "aggressive_pd")
  start <- if (direction == "forward") aggressive_pd ~ 1 else full
  scope <- list(lower = ~1, upper = full)
  fit <- do.call(glm, list(start, binomial, d, control = control))
  step <- stepAIC(fit, scope, direction = direction, trace = 0)
  list(set = set, direction = direction, candidates = names,
       step = trimws(as.character(step$anova$Step)), path_aic = step$anova$AIC,
       aic = AIC(step), n = nrow(d), terms = names(coef(step)), coefficients = unname(coef(step)),
       se = unname(summary(step)$coefficients[, 2]), p_value = unname(summary(step)$coefficients[, 4]))
}
runs <- list()
for (set in c("paper", "small", "holes")) for (direction in c("both", "backward", "forward"))
  runs[[length(runs) + 1]] <- selection(set, direction)
runs[[length(runs) + 1]] <- selection("paper", "both", c(candidates, "repeated_mm"))
runs[[length(runs) + 1]] <- selection("returns", "both", correlated)
screened <- lapply(candidates, function(name) {
  d <- drawn[drawn$set == "holes" & !is.na(drawn[[name]]), ]
  test <- anova(glm(reformulate(name, "aggressive_pd"), binomial, d, control = control), test = "LRT")
  list(variable = name, n = nrow(d), df = test$Df[2], p_value = test[["Pr(>Chi)"]][2])
})
# a factor that no patient without the event has
apart <- drawn[drawn$set == "small", ]
apart$mosaic <- apart$aggressive_pd * apart$mosaic
firth <- glm(aggressive_pd ~ diameter_mm + mosaic, binomial, apart, method = brglmFit,
             type = "AS_mean", epsilon = 1e-12, maxit = 1000)
write_json(list(
  versions = list(R = R.version.string, MASS = as.character(packageVersion("MASS")),
                  brglm2 = as.character(packageVersion("brglm2"))),
  runs = runs, screened = screened,
  firth = list(coefficients = unname(coef(firth)), se = unname(sqrt(diag(vcov(firth)))))
), "clinical.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
