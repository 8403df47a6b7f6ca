"""Differential privacy by patient: the accountant, secret noise on a grid, how much of it a plan needs."""
