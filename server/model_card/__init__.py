"""The model card of a run: what a model is for, what it was trained on, how well it did, and its limits."""
