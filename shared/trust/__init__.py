"""How far a model's numbers can be trusted: calibration, images unlike any seen, and when to abstain."""
