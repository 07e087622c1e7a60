"""The report's figures: each a function of plain numbers that returns SVG, the same bytes each time."""
