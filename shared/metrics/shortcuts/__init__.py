"""How much a model reads from what is not the lesion."""
