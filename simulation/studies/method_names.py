"""Names of maps that are no methods of explanation; apart, since the rest of a study needs no TensorFlow."""

from __future__ import annotations

BLOB, MEAN_MASK = CONTROLS = ("blob", "mean mask")
"""Maps that do not look at the image."""

FINDER = "lesion finder"
"""The map of the model's lesion finder, of models that have one."""

OF_ANOTHER_IMAGE = "of another image"
"""After a method's name: its map of the next image, measured on this one."""
