# Writes clinical_patients.csv, clinical_returns.csv and clinical_ties.csv (drawn here) and
# clinical.json: stepAIC, likelihood-ratio tests, standard errors, profile intervals, Firth's
# estimates, and Model CS with its screening and selection repeated in resamples.
# Rscript clinical.R, in this folder.
suppressMessages({library(MASS); library(brglm2); library(pROC); library(jsonlite)})
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

# Numbers in few steps, and a copy of each: every step has equals to choose among.
set.seed(17)
ties <- data.frame(x1 = rep(0:3, 20), x2 = rep(0:1, each = 40), x3 = sample(0:2, 80, TRUE))
ties$aggressive_pd <- rbinom(80, 1, plogis(-1 + .6 * ties$x1 + .4 * ties$x2))
ties$x4 <- 3 - ties$x1
ties$x5 <- 1 - ties$x2
write.csv(ties, "clinical_ties.csv", row.names = FALSE)

drawn$capsule <- factor(drawn$capsule, c("absent", "non_intact", "intact"))
drawn$lobe <- factor(drawn$lobe, c("left", "right", "cross"))
candidates <- c("age_years", "diameter_mm", "capsule", "lobe", "cirrhosis", "mosaic",
                "nodule_in_nodule", "neutrophil_to_lymphocyte")
# epsilon also sets glm's tolerance for repeated columns (a thousandth of it)
control <- glm.control(epsilon = 1e-10, maxit = 100)
interacting <- c("diameter_mm", "cirrhosis", "nodule_in_nodule", "mosaic", "lobe", "capsule",
                 "diameter_mm:nodule_in_nodule", "cirrhosis:lobe", "lobe:capsule",
                 "diameter_mm:cirrhosis")
selection <- function(set, direction, names = candidates) {
  d <- switch(set, returns = returns, ties = ties, na.omit(drawn[drawn$set == set, ]))
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
for (direction in c("both", "backward", "forward")) {
  runs[[length(runs) + 1]] <- selection("ties", direction, paste0("x", 1:5))
  for (set in c("paper", "small")) runs[[length(runs) + 1]] <- selection(set, direction, interacting)
}
# R's confint interpolates between points half a standard error or so apart; here they are near
profiled <- glm(aggressive_pd ~ diameter_mm + capsule + cirrhosis + nodule_in_nodule, binomial,
                drawn[drawn$set == "small", ], control = control)
near <- confint(profile(profiled, del = qchisq(.99, 1)^.5 / 400, maxsteps = 2000))
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
# Model CS in resamples: each candidate alone (likelihood ratio, p < 0.1), stepAIC of those, and
# the model's figures in the resample and in the patients.
paper <- drawn[drawn$set == "paper", ]
developed <- function(d) {
  alone <- sapply(candidates, function(name) {
    one <- glm(reformulate(name, "aggressive_pd"), binomial, d, control = control)
    pchisq(one$null.deviance - one$deviance, one$df.null - one$df.residual, lower.tail = FALSE)
  })
  kept <- candidates[alone < .1]
  stepAIC(do.call(glm, list(reformulate(kept, "aggressive_pd"), binomial, d, control = control)),
          list(lower = ~1, upper = reformulate(kept)), direction = "both", trace = 0)
}
figures <- function(model, d) {
  score <- predict(model, d)
  roc <- roc(d$aggressive_pd, score, levels = 0:1, direction = "<", quiet = TRUE)
  slope <- glm(d$aggressive_pd ~ score, binomial, control = control)
  list(auc = as.numeric(auc(roc)), calibration_slope = unname(coef(slope)[2]),
       brier = mean((plogis(score) - d$aggressive_pd)^2))
}
set.seed(23)
resamples <- lapply(1:8, function(i) {
  rows <- sample(nrow(paper), replace = TRUE)
  model <- developed(paper[rows, ])
  list(rows = rows - 1, selected = attr(terms(model), "term.labels"),
       resample = figures(model, paper[rows, ]), patients = figures(model, paper),
       risk = unname(predict(model, paper[1:5, ], type = "response")))
})
write_json(list(
  versions = list(R = R.version.string, MASS = as.character(packageVersion("MASS")),
                  brglm2 = as.character(packageVersion("brglm2"))),
  runs = runs, screened = screened, resamples = resamples,
  profile = list(terms = names(coef(profiled)), coefficients = unname(coef(profiled)),
                 near = unname(near), confint = unname(confint(profiled))),
  firth = list(coefficients = unname(coef(firth)), se = unname(sqrt(diag(vcov(firth)))))
), "clinical.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
