"""A study of annotation budgets: which trainings, what their labels would cost, and what came out of them."""
