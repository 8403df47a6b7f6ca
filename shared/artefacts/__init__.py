"""Artefacts of dermoscopy, drawn on an image: what a model must not read its answer from."""
