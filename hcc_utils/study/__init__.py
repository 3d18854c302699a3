"""What the study is: vocabulary, manifest, cohort, scores, results and the paper's own numbers."""
