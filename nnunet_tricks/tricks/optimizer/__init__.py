"""Which optimiser takes the steps: one trick per file."""
