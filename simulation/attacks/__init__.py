"""Attacks on the privacy of patients: membership inference and gradient inversion, in NumPy."""
