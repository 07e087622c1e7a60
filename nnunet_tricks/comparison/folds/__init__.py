"""How the cases of a data set are divided into folds, and how even the folds are."""
