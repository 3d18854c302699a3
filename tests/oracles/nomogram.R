# Writes nomogram.json: rms's points for a model of clinical_patients.csv (set "paper").
# Rscript nomogram.R, in this folder.
suppressMessages({library(rms); library(jsonlite)})
drawn <- read.csv("clinical_patients.csv")
d <- drawn[drawn$set == "paper", ]
d$capsule <- factor(d$capsule, c("absent", "non_intact", "intact"))
dd <- datadist(d)
options(datadist = "dd")
fit <- lrm(aggressive_pd ~ diameter_mm + capsule + cirrhosis + age_years, d, eps = 1e-12)
diameters <- c(20, 50, 100, 120)
ages <- c(40, 55, 70, 80)
total <- seq(0, 160, 20)
drawing <- nomogram(fit, diameter_mm = diameters, age_years = ages, maxscale = 100, lp = TRUE,
                    fun = plogis)
write_json(list(
  versions = list(R = R.version.string, rms = as.character(packageVersion("rms"))),
  coefficients = as.list(coef(fit)),
  diameter_mm = data.frame(value = diameters, points = drawing$diameter_mm$points),
  age_years = data.frame(value = ages, points = drawing$age_years$points),
  capsule = data.frame(value = levels(d$capsule), points = drawing$capsule$points),
  cirrhosis = data.frame(value = as.numeric(drawing$cirrhosis$cirrhosis),
                         points = drawing$cirrhosis$points),
  total = data.frame(total_points = drawing$lp$x, linear_predictor = drawing$lp$x.real)
), "nomogram.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
