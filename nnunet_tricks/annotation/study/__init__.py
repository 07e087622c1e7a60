"""A study of annotation budgets: which trainings, what their labels would cost, and how good the results are."""
