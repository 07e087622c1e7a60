"""``annotate grow``: a data set with labels that trained models add where they are certain."""
