# Writes hepatocellular.json: counts, medians and risks by R of the public table hepatoCellular.
# The table itself is not kept here; `hcc table` writes it:
#   hcc table asaur/hepatoCellular --out patients.csv
#   Rscript hepatocellular.R patients.csv, in this folder.
suppressMessages({library(survival); library(jsonlite)})
options(digits = 17)
patients <- read.csv(commandArgs(trailingOnly = TRUE)[1])

median_of <- function(fit) {
  found <- summary(fit)$table
  list(n = found[["records"]], events = found[["events"]], median = found[["median"]],
       low = found[["0.95LCL"]], high = found[["0.95UCL"]])
}
death <- survfit(Surv(OS, Death) ~ 1, patients)
recurrence <- survfit(Surv(RFS, Recurrence) ~ 1, patients)
five_years <- summary(death, times = 60)
high <- patients$CXCL17P > median(patients$CXCL17P)
by_cxcl17 <- summary(survfit(Surv(RFS, Recurrence) ~ high, patients), times = 60)

write_json(list(
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))),
  patients = nrow(patients), columns = ncol(patients),
  death = median_of(death), recurrence = median_of(recurrence),
  alive_at_60_months = list(survival = five_years$surv, low = five_years$lower,
                            high = five_years$upper),
  recurred_by_60_months = list(cxcl17_low = 1 - by_cxcl17$surv[1],
                               cxcl17_high = 1 - by_cxcl17$surv[2]),
  recurred_in_the_month_of_death = sum(patients$RFS == patients$OS & patients$Death == 1),
  died_without_recurrence = sum(patients$Death == 1 & patients$Recurrence == 0)
), "hepatocellular.json", digits = NA, auto_unbox = TRUE, na = "null", pretty = TRUE)
