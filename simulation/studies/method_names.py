"""Names of the maps that do not look at the image; apart, since the rest of a study needs no TensorFlow."""

from __future__ import annotations

BLOB, MEAN_MASK = CONTROLS = ("blob", "mean mask")

OF_ANOTHER_IMAGE = "of another image"
"""After a method's name: its map of the next image, measured on this one."""
