"""Synthetic dermoscopy: plausible lesions of the paper's three classes, different in each clinic."""
