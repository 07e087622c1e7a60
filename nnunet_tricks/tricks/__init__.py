"""Everything that a trainer's name can switch, one trick per file."""
