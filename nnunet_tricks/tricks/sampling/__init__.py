"""Which patches of which cases a training sees."""
