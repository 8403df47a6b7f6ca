"""What a run's model makes of all the images that its trust is fitted to and measured on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.console import stderr
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
from dermafed.shared.imaging.decoding import decode_image
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs, network_outputs
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.training.data import LabelledImages

NEAR = ("bcc", "akiec", "vasc", "df")


@dataclass(frozen=True)
class CachedOutputs:
    """A model, and where what it made of images is kept."""

    classifier: keras.Model
    card: ModelInfo
    keep: Path | None

    def outputs(self, name: str, images: Callable[[], LabelledImages]) -> NetworkOutputs:
        file = None if self.keep is None else self.keep / f"{name}.npz"
        if file is not None and file.exists():
            with np.load(file) as saved:
                return NetworkOutputs(saved["logits"], saved["features"], saved["labels"])
        stderr().print(f"Predicting {name}")
        outputs = network_outputs(self.classifier, images())
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, logits=outputs.logits, features=outputs.features, labels=outputs.labels)
        return outputs

    def outputs_for_records(self, name: str, records: Sequence[LesionRecord]) -> NetworkOutputs:
        def images() -> LabelledImages:
            paths = [record.path for record in records]
            pixels = PreprocessCache(default_cache_folder()).load(paths, self.card.preprocess).images
            classes = self.card.model.classes
            known = [classes.index(each.label) if each.label in classes else -1 for each in records]
            return LabelledImages(pixels, np.array(known))

        return self.outputs(name, images)

    def outputs_for_pictures(
        self, name: str, pictures: Callable[[], Sequence[NDArray[np.uint8]]]
    ) -> NetworkOutputs:
        def images() -> LabelledImages:
            prepared = np.stack([preprocess(each, self.card.preprocess).image for each in pictures()])
            return LabelledImages(prepared, np.full(len(prepared), -1))

        return self.outputs(name, images)


@dataclass(frozen=True)
class ImageSets:
    """What the model makes of every set; the clinics' sides by clinic."""

    train: dict[str, NetworkOutputs]
    validation: dict[str, NetworkOutputs]
    test: dict[str, NetworkOutputs]
    isic: NetworkOutputs
    others: dict[str, NetworkOutputs]


def all_outputs(run: Path, ham: Path, isic: Path, keep: Path | None) -> ImageSets:
    classifier, card = load_model(run / "model.keras")
    cached, side = CachedOutputs(classifier, card, keep), card.model.image_size
    clinics = {
        clinic.name: clinic for clinic in map(read_clinic_split, sorted((run / "sites/clinics").iterdir()))
    }
    parts = {
        part: {
            name: cached.outputs_for_records(f"{part}-{name}", clinic.splits.sides()[part])
            for name, clinic in clinics.items()
        }
        for part in ("train", "validation", "test")
    }
    unknown = [record for record in load_dataset(ham).records if record.label in NEAR]
    near = {
        name: cached.outputs_for_records(f"near-{name}", [each for each in unknown if each.label == name])
        for name in NEAR
    }
    far = {
        "clinical": clinical,
        "objects": objects,
        "noise": lambda: noise(side),
        "flat": lambda: flat(side),
    }
    pictures = {name: cached.outputs_for_pictures(f"far-{name}", make) for name, make in far.items()}
    shifted = cached.outputs_for_records("isic2017", load_dataset(isic).records)
    return ImageSets(**parts, isic=shifted, others={**pictures, **near})


def together(parts: dict[str, NetworkOutputs]) -> NetworkOutputs:
    names = ("logits", "features", "labels")
    return NetworkOutputs(
        *(np.concatenate([getattr(part, name) for part in parts.values()]) for name in names)
    )


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
