"""Lesions for diagnoses: drawn ones, and a small network with a finder of drawn discs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.diagnosis.lesion import Lesion, describe_lesion
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.shared.imaging.preprocess_settings import Fit, PreprocessSettings
from dermafed.shared.imaging.resize import resize
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.images import sum_up_images
from dermafed.shared.lesion_finder.outline import LesionOutline, Nothing
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.weights_digest import weights_digest
from tests.shared.lesion_finder.test_images import drawn
from tests.shared.training.tiny import tiny_backbones

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
SIDE = 96


def photograph(
    height: int = 300, width: int = 400, at: tuple[float, float] = (0.5, 0.5), radius: int = 60
) -> NDArray[np.uint8]:
    """A brown disc on skin; its middle at these shares of width and height."""
    image = np.full((height, width, 3), (226, 190, 175), np.uint8)
    return cv2.circle(image, (round(at[0] * width), round(at[1] * height)), radius, (66, 37, 24), -1)


def outlined(image: NDArray[np.uint8], fit: Fit = "crop", mm_per_pixel: float | None = None) -> Lesion:
    """The lesion of such a picture, as a finder that makes no mistake would find it."""
    region = resize(image, SIDE, fit)[..., 0] < 150
    return describe_lesion(LesionOutline(region, None, 1), image, fit, mm_per_pixel)


FOUND = outlined(photograph(), mm_per_pixel=0.02)
NOT_FOUND = Lesion(str(Nothing.NO_CELL))


def finding_model() -> OpenedModel:
    """Six blocks of random weights at 64 pixels, with a finder of dark discs."""
    settings = ModelSettings(CLASSES, backbone="EfficientNetB5", image_size=64)
    with tiny_backbones():
        classifier = build_classifier(settings)
    images, masks = drawn(40)
    digest = weights_digest(to_flat(classifier))
    finder = LesionFinder.of(sum_up_images(classifier, images, list(masks)), digest)
    card = ModelInfo(settings, PreprocessSettings(image_size=64, denoise="none", clahe=False), "random", 7)
    return OpenedModel(classifier, card, ModelUsed("alps", 7, digest), Path("none") / "model.keras", finder)
