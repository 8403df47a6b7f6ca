"""The lesion finder's map beside the methods of explanation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dermafed.shared.explain.quality.localisation import pixel_precision
from dermafed.shared.explain.quality.randomisation import randomised
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import save_finder
from dermafed.shared.lesion_finder.images import sum_up_images
from dermafed.shared.model.classifier import build_classifier, to_flat
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.simulation.studies.finder_method import finder_method
from tests.shared.lesion_finder.test_images import drawn
from tests.shared.training.tiny import tiny_backbones


def test_it_finds_the_lesion_of_every_class_and_with_shuffled_weights_another_place(tmp_path: Path) -> None:
    with tiny_backbones():
        classifier = build_classifier(ModelSettings(("a", "b"), backbone="EfficientNetB5", image_size=64))
    shuffled, file = randomised(classifier, "everything"), tmp_path / "model.keras"
    assert finder_method(file, classifier, shuffled) is None, "there is no finder"
    images, masks = drawn(48)
    sums = sum_up_images(classifier, images, list(masks))
    save_finder(file, LesionFinder.of(sums, weights_digest(to_flat(classifier))))
    method = finder_method(file, classifier, shuffled)
    assert method is not None
    first, other = method.explain(images[0], 0, None), method.explain(images[0], 1, 0)
    np.testing.assert_array_equal(first, other)
    assert first.shape == (64, 64)
    assert pixel_precision(first, masks[0]) > 0.9
    assert np.corrcoef(first.ravel(), method.shuffled(images[0], 0, None).ravel())[0, 1] < 0.9
