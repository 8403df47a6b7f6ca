"""Calibration of probabilities, out-of-distribution scores, selective prediction."""
