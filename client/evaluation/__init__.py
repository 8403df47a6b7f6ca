"""A saved model on a clinic's own images: evaluation, calibration, explanation."""
