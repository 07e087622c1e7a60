"""From nothing to a comparison of two trainers in minutes: what ``nnunet-tricks demo`` does."""
