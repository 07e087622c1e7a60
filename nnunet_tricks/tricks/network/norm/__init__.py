"""How the network normalises its features: one trick per file."""
