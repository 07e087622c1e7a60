"""Pictures of tricks, made by the tricks' own code when the site is built."""
