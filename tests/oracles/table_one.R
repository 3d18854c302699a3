# Writes table_one.json: tests of the data in it. Rscript table_one.R, in this folder.
suppressMessages(library(jsonlite))
tables <- list( # a row a level, a column a group
  two_by_three = rbind(c(1, 0, 5), c(30, 22, 18)), three_by_two = rbind(c(50, 31), c(2, 0), c(90, 40)),
  three_by_three = rbind(c(10, 3, 7), c(1, 0, 0), c(12, 15, 2)),
  three_by_five = rbind(c(60, 41, 12, 9, 14), c(20, 9, 4, 1, 0), c(1, 0, 1, 0, 1)),
  symmetric = rbind(c(3, 0, 1), c(1, 2, 1), c(0, 2, 2)))
exact <- lapply(tables, function(counts) list(counts = counts,
  p_value = fisher.test(counts, workspace = 2e7)$p.value))
flag <- rbind(c(10, 3), c(26, 33))
set.seed(5)
a <- round(rnorm(14, 60, 9), 1); b <- round(rnorm(9, 66, 15), 1)
said <- function(test) list(statistic = unname(test$statistic), p_value = test$p.value)
write_json(list(
  versions = list(R = R.version.string), fisher = exact,
  flag = list(counts = flag, "Yates' chi-square" = said(chisq.test(flag)),
              "Pearson's chi-square" = said(chisq.test(flag, correct = FALSE)),
              "Fisher's exact" = list(p_value = fisher.test(flag)$p.value)),
  numbers = list(a = a, b = b, "Student's t" = said(t.test(a, b, var.equal = TRUE)),
                 "Welch's t" = said(t.test(a, b)),
                 "rank-sum" = said(wilcox.test(a, b, exact = FALSE, correct = FALSE)))
), "table_one.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
