"""Local training: the recipe, augmentation, the loss, and the trainer a clinic runs."""
