"""Counts that a clinic may tell: its lesions by group, its answers by month; no small number shows."""
