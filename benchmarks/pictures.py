"""Images to measure with: a user's photographs, or drawn lesions that anybody can draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.bm3d import chosen
from benchmarks.comparisons import Place
from dermafed.shared.imaging.decoding import decode_image, read_bytes
from dermafed.shared.imaging.resize import resize
from dermafed.simulation.synthetic.clinics import DEFAULT_CLINICS
from dermafed.simulation.synthetic.dataset import generate_dataset


def pictures(place: Place, count: int, side: int) -> NDArray[np.uint8]:
    """So many square images.

    Args:
        place: its images, evenly spaced by name, again from the first if too few; else drawn ones.
        count: number of images.
        side: in pixels.

    Returns:
        RGB (N, S, S, 3).
    """
    folder = place.images
    if folder is None:
        folder = place.folder / f"drawn-{count}-{side}"
        profile = replace(DEFAULT_CLINICS[0], images=count)
        generate_dataset(folder, profiles=[profile], seed=0, image_size=side)
        folder = folder / "images"
    paths = chosen(folder, count)
    images = [resize(decode_image(read_bytes(path)), side, "crop") for path in paths]
    return np.stack([images[number % len(images)] for number in range(count)])
