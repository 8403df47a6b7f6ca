"""Fairness: metrics of a model by group of patients, gaps between groups, and suppression of small cells."""
