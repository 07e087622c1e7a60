"""Edits of plans files: what can be an extra configuration needs no planner and no second preprocessing."""
