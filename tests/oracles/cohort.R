# Writes cohort.json: what R finds in patients of a rule (tests/rows_of_cohort.py has the same), 40
# with a factor that only patients with the event have, 300 with ties and missing values, 20 000.
# Rscript cohort.R, in this folder.
suppressMessages({library(MASS); library(brglm2); library(psych); library(vcd); library(pROC)
                  library(jsonlite)})

# whole numbers from a congruential rule that doubles hold exactly, so that every language has them
draws <- function(n, columns, seed) {
  x <- numeric(n * columns)
  state <- seed
  for (k in seq_along(x)) x[k] <- state <- (16807 * state) %% 2147483647
  matrix(x, ncol = columns, byrow = TRUE)
}

capsules <- c("absent", "non_intact", "intact")
patients <- function(n, seed) {
  x <- draws(n, 24, seed)
  capsule <- x[, 1] %% 3
  read <- function(k) factor(capsules[1 + ifelse(x[, k] %% 20 < 15, capsule, x[, k] %/% 20 %% 3)],
                             capsules)
  d <- data.frame(
    centre = c("a", "b", "c")[1 + x[, 2] %% 3], sex = ifelse(x[, 3] %% 4 == 0, "female", "male"),
    age_years = 40 + x[, 4] %% 21 + x[, 5] %% 21, diameter_mm = 10 + x[, 6] %% 120,
    capsule = factor(capsules[1 + capsule], capsules),
    lobe = factor(c("left", "right", "cross")[1 + x[, 7] %% 3], c("left", "right", "cross")),
    hbv = x[, 8] %% 100 < 94, cirrhosis = x[, 9] %% 10 < 6, mosaic = x[, 10] %% 10 < 4,
    nodule_in_nodule = x[, 11] %% 10 < 3, child_pugh = findInterval(x[, 12] %% 20, c(14, 18)),
    neutrophil_to_lymphocyte = (100 + x[, 13] %% 300) / 100,
    ratio_r1 = (100 + x[, 14] %% 100 + x[, 15] %% 31) / 100,
    ratio_r2 = (105 + x[, 14] %% 100 + x[, 16] %% 31) / 100,
    ratio_r3 = (100 + x[, 14] %% 100 + x[, 17] %% 31) / 100,
    capsule_r1 = read(18), capsule_r2 = read(19), capsule_r3 = read(20))
  chance <- 20 + d$diameter_mm + 60 * d$cirrhosis - 50 * (capsule == 2) + 60 * d$nodule_in_nodule
  d$aggressive_pd <- x[, 21] %% 400 < chance
  if (n == 40) d$mosaic <- d$mosaic & d$aggressive_pd
  if (n == 300) {
    d$age_years[x[, 22] %% 25 == 0] <- NA
    d$capsule[x[, 23] %% 30 == 0] <- NA
    d$mosaic[x[, 24] %% 20 == 0] <- NA
    d$ratio_r1[x[, 22] %% 17 == 0] <- NA
    d$capsule_r2[x[, 23] %% 17 == 0] <- NA
  }
  d
}

said <- function(test) list(statistic = unname(test$statistic), p_value = test$p.value)
tests <- function(d) {
  event <- d$aggressive_pd
  of <- function(name) list(d[[name]][!event], d[[name]][event])
  two <- function(name, test, ...) said(do.call(test, c(unname(of(name)), list(...))))
  fisher <- function(name, by) list(p_value = fisher.test(d[[name]], d[[by]], workspace = 2e7)$p.value)
  found <- list(
    list("age_years", "aggressive_pd", "Student's t", two("age_years", t.test, var.equal = TRUE)),
    list("age_years", "aggressive_pd", "Welch's t", two("age_years", t.test)),
    list("age_years", "aggressive_pd", "rank-sum",
         two("age_years", wilcox.test, exact = FALSE, correct = FALSE)),
    list("child_pugh", "aggressive_pd", "rank-sum",
         two("child_pugh", wilcox.test, exact = FALSE, correct = FALSE)),
    list("age_years", "centre", "one-way ANOVA",
         said(oneway.test(age_years ~ centre, d, var.equal = TRUE))),
    list("age_years", "centre", "Kruskal-Wallis", said(kruskal.test(d$age_years, factor(d$centre)))),
    list("sex", "aggressive_pd", "Pearson's chi-square",
         said(suppressWarnings(chisq.test(table(d$sex, event), correct = FALSE)))),
    list("sex", "aggressive_pd", "Yates' chi-square",
         said(suppressWarnings(chisq.test(table(d$sex, event))))),
    list("capsule", "centre", "Pearson's chi-square",
         said(suppressWarnings(chisq.test(table(d$capsule, d$centre))))),
    list("hbv", "aggressive_pd", "Fisher's exact", fisher("hbv", "aggressive_pd")))
  # of more patients in more levels and groups the tables are too many to count, for R too
  if (nrow(d) < 20000) found <- c(found, list(
    list("child_pugh", "aggressive_pd", "Fisher's exact", fisher("child_pugh", "aggressive_pd"))))
  if (nrow(d) < 300) found <- c(found, list(
    list("capsule", "centre", "Fisher's exact", fisher("capsule", "centre"))))
  lapply(found, setNames, c("variable", "by", "test", "found"))
}

fleiss <- function(readings) { # Fleiss 1971, equations 3, 5 and 7
  counts <- sapply(capsules, function(level) rowSums(readings == level))
  n <- ncol(readings)
  agreed <- mean((rowSums(counts^2) - n) / (n * (n - 1)))
  chance <- sum((colSums(counts) / sum(counts))^2)
  (agreed - chance) / (1 - chance)
}
agreement <- function(d) {
  # psych makes a column a patient: of 20 000 it cannot
  found <- if (nrow(d) < 20000) ICC(na.omit(d[paste0("ratio_r", 1:3)]), lmer = FALSE)$results[1:3, ]
  crossed <- table(d$capsule_r1, d$capsule_r2)
  kappa <- function(weights) Kappa(crossed, weights = weights)
  list(icc = found$ICC, icc_low = found$"lower bound", icc_high = found$"upper bound",
       plain = unname(kappa("Equal-Spacing")$Unweighted),
       linear = unname(kappa("Equal-Spacing")$Weighted),
       quadratic = unname(kappa("Fleiss-Cohen")$Weighted),
       fleiss = fleiss(na.omit(d[paste0("capsule_r", 1:3)])))
}

candidates <- c("age_years", "diameter_mm", "capsule", "lobe", "cirrhosis", "mosaic",
                "nodule_in_nodule", "neutrophil_to_lymphocyte")
few <- c("diameter_mm", "cirrhosis", "nodule_in_nodule") # none separates the 40 patients
control <- glm.control(epsilon = 1e-10, maxit = 100)
tight <- glm.control(epsilon = 1e-14, maxit = 100) # R's standard errors are a step behind
logistic <- function(names, d, start = names, until = control) suppressWarnings( # mosaic may separate
  do.call(glm, list(reformulate(start, "aggressive_pd"), binomial, d, control = until)))
known <- function(d) na.omit(d[c("aggressive_pd", candidates)])
path <- function(direction, d) {
  names <- if (nrow(d) < 20000) candidates else c(few, "capsule", "mosaic")
  fit <- logistic(names, d, if (direction == "forward") "1" else names)
  step <- suppressWarnings(stepAIC(fit, list(lower = ~1, upper = reformulate(names)),
                                   direction = direction, trace = 0))
  list(direction = direction, candidates = names, step = trimws(as.character(step$anova$Step)),
       path_aic = step$anova$AIC)
}
# where the deviance of the best model with this coefficient is at 95 %, found as a root
ends <- function(names, d) {
  fit <- logistic(names, d)
  x <- model.matrix(fit); y <- as.numeric(d$aggressive_pd)
  se <- summary(fit)$coefficients[, 2]
  t(sapply(seq_along(coef(fit)), function(k) {
    beyond <- function(at) glm.fit(x[, -k, drop = FALSE], y, offset = at * x[, k], family = binomial(),
                                   control = control)$deviance - deviance(fit) - qchisq(.95, 1)
    sapply(c(-1, 1), function(side)
      uniroot(beyond, sort(coef(fit)[k] + side * se[k] * c(.5, 6)), tol = 1e-12)$root)
  }))
}
regression <- function(d) {
  names <- if (nrow(d) < 100) few else candidates
  fit <- logistic(names, d, until = tight)
  table <- summary(fit)$coefficients
  list(names = names, terms = rownames(table), coefficients = unname(table[, 1]),
       se = unname(table[, 2]), p_value = unname(table[, 4]), aic = AIC(fit),
       profiled = few, profile = unname(ends(few, d)))
}
firth <- function(d) {
  fit <- glm(aggressive_pd ~ diameter_mm + mosaic, binomial, d, method = brglmFit, type = "AS_mean",
             epsilon = 1e-12, maxit = 1000)
  list(coefficients = unname(coef(fit)), se = unname(sqrt(diag(vcov(fit)))))
}

# Model CS: each candidate alone (likelihood ratio, p < 0.1), stepAIC of those
developed <- function(d) {
  alone <- sapply(candidates, function(name) {
    one <- logistic(name, d)
    pchisq(one$null.deviance - one$deviance, one$df.null - one$df.residual, lower.tail = FALSE)
  })
  kept <- candidates[alone < .1]
  stepAIC(logistic(kept, d), list(lower = ~1, upper = reformulate(kept)), trace = 0)
}
figures <- function(model, d) {
  score <- predict(model, d)
  roc <- roc(d$aggressive_pd, score, levels = c(FALSE, TRUE), direction = "<", quiet = TRUE)
  brier <- mean((plogis(score) - d$aggressive_pd)^2)
  c(auc = as.numeric(auc(roc)),
    calibration_slope = unname(coef(glm(d$aggressive_pd ~ score, binomial, control = control))[2]),
    brier = brier, scaled_brier = 1 - brier / mean((mean(d$aggressive_pd) - d$aggressive_pd)^2))
}
optimism <- function(d, resamples) {
  rows <- draws(nrow(d), resamples, 20241201) %% nrow(d) + 1
  each <- lapply(seq_len(resamples), function(k) {
    model <- developed(d[rows[, k], ])
    list(selected = attr(terms(model), "term.labels"), resample = figures(model, d[rows[, k], ]),
         patients = figures(model, d))
  })
  gain <- rowMeans(sapply(each, function(one) one$resample - one$patients))
  list(resamples = lapply(each, function(one) lapply(one, function(x)
         if (is.numeric(x)) as.list(x) else I(x))), optimism = as.list(gain))
}

values <- function(n, seed) {
  d <- patients(n, seed)
  complete <- known(d)
  found <- list(events = sum(d$aggressive_pd), complete = nrow(complete), tests = tests(d),
                agreement = agreement(d), regression = regression(complete),
                paths = lapply(c("both", "forward", if (n < 20000) "backward"), path, d = complete))
  c(found, if (n == 40) list(firth = firth(complete)),
    if (n == 300) list(optimism = optimism(complete, 10)))
}
version <- function(package) as.character(packageVersion(package))
write_json(list(
  versions = c(list(R = R.version.string), sapply(c("MASS", "brglm2", "psych", "vcd", "pROC"), version,
                                                  simplify = FALSE)),
  "40" = values(40, 20241101), "300" = values(300, 20241102), "20000" = values(20000, 20241103)),
  "cohort.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
