"""What a run's model makes of all the images that its trust is fitted to and measured on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.other_pictures import clinical, flat, noise, objects
from dermafed.console import stderr
from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
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
class Eyes:
    """A model, and where what it made of images is kept."""

    classifier: keras.Model
    card: ModelInfo
    keep: Path | None

    def look(self, name: str, images: Callable[[], LabelledImages]) -> NetworkOutputs:
        file = None if self.keep is None else self.keep / f"{name}.npz"
        if file is not None and file.exists():
            with np.load(file) as kept:
                return NetworkOutputs(kept["logits"], kept["features"], kept["labels"])
        stderr().print(f"Looking at {name}")
        outputs = network_outputs(self.classifier, images())
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, logits=outputs.logits, features=outputs.features, labels=outputs.labels)
        return outputs

    def look_at_records(self, name: str, records: Sequence[LesionRecord]) -> NetworkOutputs:
        def images() -> LabelledImages:
            paths = [record.path for record in records]
            pixels = PreprocessCache(default_cache_folder()).load(paths, self.card.preprocess).images
            classes = self.card.model.classes
            known = [classes.index(each.label) if each.label in classes else -1 for each in records]
            return LabelledImages(pixels, np.array(known))

        return self.look(name, images)

    def look_at_pictures(
        self, name: str, pictures: Callable[[], Sequence[NDArray[np.uint8]]]
    ) -> NetworkOutputs:
        def images() -> LabelledImages:
            prepared = np.stack([preprocess(each, self.card.preprocess).image for each in pictures()])
            return LabelledImages(prepared, np.full(len(prepared), -1))

        return self.look(name, images)


@dataclass(frozen=True)
class Seen:
    """What the model makes of every set; the clinics' sides by clinic."""

    train: dict[str, NetworkOutputs]
    validation: dict[str, NetworkOutputs]
    test: dict[str, NetworkOutputs]
    isic: NetworkOutputs
    others: dict[str, NetworkOutputs]


def look_everywhere(run: Path, ham: Path, isic: Path, keep: Path | None) -> Seen:
    classifier, card = load_model(run / "model.keras")
    eyes, side = Eyes(classifier, card, keep), card.model.image_size
    sites = {site.name: site for site in map(read_clinic_split, sorted((run / "sites/clinics").iterdir()))}
    parts = {
        part: {
            name: eyes.look_at_records(f"{part}-{name}", site.splits.sides()[part])
            for name, site in sites.items()
        }
        for part in ("train", "validation", "test")
    }
    unknown = [record for record in load_dataset(ham).records if record.label in NEAR]
    near = {
        name: eyes.look_at_records(f"near-{name}", [each for each in unknown if each.label == name])
        for name in NEAR
    }
    far = {
        "clinical": clinical,
        "objects": objects,
        "noise": lambda: noise(side),
        "flat": lambda: flat(side),
    }
    pictures = {name: eyes.look_at_pictures(f"far-{name}", make) for name, make in far.items()}
    shifted = eyes.look_at_records("isic2017", load_dataset(isic).records)
    return Seen(**parts, isic=shifted, others={**pictures, **near})


def together(parts: dict[str, NetworkOutputs]) -> NetworkOutputs:
    names = ("logits", "features", "labels")
    return NetworkOutputs(
        *(np.concatenate([getattr(part, name) for part in parts.values()]) for name in names)
    )
