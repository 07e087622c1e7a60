"""How the learning rate changes from epoch to epoch: one trick per file."""
