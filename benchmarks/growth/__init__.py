"""How cost grows with clinics, rounds, parameters, images and image size: ``python -m benchmarks.growth``."""
