"""Pictures that are no dermoscopic images: photographs from Python packages, noise, flat colours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.imaging.decoding import decode_image

Image = NDArray[np.uint8]

# Colour photographs of things, people and animals; no drawings, and no medical images.
PHOTOGRAPHS = {
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
    "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
    "skimage": tuple(
        f"data/{name}"
        for name in (
            *(
                "astronaut.png",
                "brick.png",
                "camera.png",
                "chelsea.png",
                "coffee.png",
                "coins.png",
                "grass.png",
            ),
            *("gravel.png", "hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "rocket.jpg"),
        )
    ),
}
CLINICAL = {"dermapred": ("examples/example_image.jpg",)}
CROPS = 24


def objects() -> list[Image]:
    """Each photograph of things as a whole, and its quarters."""
    return [part for image in _packaged(PHOTOGRAPHS) for part in (image, *_quarters(image))]


def clinical(seed: int = 0) -> list[Image]:
    """Square crops at random of clinical photographs (skin without a dermatoscope): one, as far as known."""
    rng = np.random.default_rng(seed)
    return [_crop(image, rng) for image in _packaged(CLINICAL) for _ in range(CROPS)]


def noise(side: int, count: int = 40, seed: int = 0) -> list[Image]:
    """Noise of every scale, from single pixels to clouds as wide as the picture, in random colours."""
    rng = np.random.default_rng(seed)
    cells = np.geomspace(3, side, count).astype(int)
    return [_clouds(side, int(number), rng) for number in cells]


def flat(side: int, count: int = 40, seed: int = 0) -> list[Image]:
    """Flat colours, a lens cap's black and a lamp's white among them."""
    rng = np.random.default_rng(seed)
    colours = np.concatenate([[[0] * 3, [255] * 3], rng.integers(0, 256, (count - 2, 3))])
    return [np.full((side, side, 3), colour, np.uint8) for colour in colours]


def _packaged(files: Mapping[str, tuple[str, ...]]) -> Iterator[Image]:
    """The pictures of those packages that are installed."""
    for package, names in files.items():
        found = find_spec(package)
        if found is not None and found.origin is not None:
            for path in (Path(found.origin).parent / name for name in names):
                yield decode_image(path.read_bytes(), where=path)


def _quarters(image: Image) -> Iterator[Image]:
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    for half in (image[:rows], image[rows:]):
        yield from (np.ascontiguousarray(half[:, :columns]), np.ascontiguousarray(half[:, columns:]))


def _crop(image: Image, rng: np.random.Generator) -> Image:
    side = int(rng.integers(250, min(image.shape[:2]) + 1))
    row, column = (int(rng.integers(0, size - side + 1)) for size in image.shape[:2])
    return np.ascontiguousarray(image[row : row + side, column : column + side])


def _clouds(side: int, cells: int, rng: np.random.Generator) -> Image:
    small = rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
