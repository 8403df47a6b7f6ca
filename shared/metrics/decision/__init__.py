"""Decisions about melanoma: alert thresholds, what they cost, and what of them can be promised."""
