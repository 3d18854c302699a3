# Writes rank_correlation.json: invented classes with ties. Rscript rank_correlation.R, in this folder.
suppressMessages(library(jsonlite))
set.seed(9)
child_pugh <- sample(1:3, 60, TRUE, c(.7, .25, .05))
bclc <- pmin(4, sample(1:4, 60, TRUE) + (child_pugh > 1) * rbinom(60, 1, .4))
found <- cor.test(child_pugh, bclc, method = "spearman", exact = FALSE)
write_json(list(versions = list(R = R.version.string), child_pugh = c("A", "B", "C")[child_pugh],
                bclc = c("0", "A", "AB", "B")[bclc], rho = unname(found$estimate),
                p_value = found$p.value),
           "rank_correlation.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
