"""An audit finds what a network looks at: networks made to look at one thing only, on real images."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import pytest
from keras import layers, ops

from dermafed.client.evaluation.audit_model import measure_effects
from dermafed.shared.artefacts.artefact_predictions import (
    ArtefactPredictions,
    Predict,
    predict_with_artefacts,
)
from dermafed.shared.artefacts.artefacts import ARTEFACTS
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.predict import apply_classifier
from tests.commands.small_datasets import HAM, needs_real_images

SIDE, CLASSES = 128, ("melanoma", "nevus")
PREPROCESS = PreprocessSettings(image_size=SIDE, denoise="none", clahe=False)
IMAGES = 12

pytestmark = needs_real_images


@pytest.fixture(scope="module")
def records() -> list[LesionRecord]:
    """Every 400th image, with its mask; the labels are made up, half and half."""
    paths = sorted((HAM / "images").glob("*.jpg"))[:: 4773 // IMAGES][:IMAGES]
    return [
        LesionRecord(path.stem, path, CLASSES[index % 2], mask=HAM / "masks" / f"{path.stem}.png")
        for index, path in enumerate(paths)
    ]


def without_mask(records: Sequence[LesionRecord]) -> list[LesionRecord]:
    return [LesionRecord(record.image_id, record.path, record.label) for record in records]


def network_of(score: keras.KerasTensor, pixels: keras.KerasTensor) -> Predict:
    """Melanoma where the score, (N,), is positive."""
    logits = ops.stack([score, ops.zeros_like(score)], axis=1)
    network = keras.Model(pixels, layers.Softmax()(logits))
    return lambda images, _: apply_classifier(
        network, LabelledImages(images, np.zeros(len(images), np.int64))
    )


def ink_network() -> Predict:
    """Looks for one pixel that is more violet than skin and pigment are, wherever it is."""
    pixels = keras.Input((SIDE, SIDE, 3))
    red, green, blue = (pixels[..., channel] for channel in range(3))
    violet = ops.minimum(red, blue) - 1.5 * green
    return network_of(ops.max(violet, axis=(1, 2)) - 25.0, pixels)


def centre_network() -> Predict:
    """Looks at the brightness of the middle of the image, 0.3 of its side, and nowhere else."""
    pixels = keras.Input((SIDE, SIDE, 3))
    margin = round(0.35 * SIDE)
    middle = layers.Cropping2D(margin)(pixels)
    return network_of((130.0 - ops.mean(middle, axis=(1, 2, 3))) / 10, pixels)


def audited(records: Sequence[LesionRecord], predict: Predict) -> ArtefactPredictions:
    return predict_with_artefacts(
        records, PREPROCESS, predict, skip_bad=False, progress=lambda done, total: None
    )


def test_a_network_that_looks_at_ink_flips_on_ink_and_on_ink_only(records: list[LesionRecord]) -> None:
    effects = measure_effects(audited(records, ink_network()), CLASSES, None)
    flips = {name: effect.to_melanoma for name, effect in effects.items()}
    flipped = {name: flip.flipped for name, flip in flips.items() if flip is not None}
    assert flipped == {**dict.fromkeys(effects, 0), "ink": IMAGES}
    ink = effects["ink"]
    assert flips["ink"] is not None
    assert flips["ink"].interval.low == pytest.approx(0.025 ** (1 / IMAGES))
    assert ink.change is not None
    assert ink.change.interval is not None
    assert ink.change.interval.low > 5
    assert ink.to_benign is None, "no answer was melanoma before"


def test_a_network_that_ignores_the_border_does_not_move_by_what_lies_there(
    records: list[LesionRecord],
) -> None:
    predictions = audited(without_mask(records), centre_network())
    effects = measure_effects(predictions, CLASSES, None)
    for name, artefact in ARTEFACTS.items():
        same = np.array_equal(predictions.after[name], predictions.before)
        assert same == (artefact.keeps_lesion or name == "vignette"), name
    for name in ("ink", "ruler", "colour-patch"):
        effect = effects[name]
        assert effect.change is not None
        assert effect.change.mean == 0
        shown = [flips for flips in (effect.to_melanoma, effect.to_benign) if flips is not None]
        assert shown
        assert not any(flips.flipped for flips in shown)
        assert predictions.unseen[name] == 0, "the network was shown it"
    erased = effects["lesion-erased"].change
    assert erased is not None
    assert erased.mean < -1, "skin is brighter than pigment"


def test_one_image_has_one_answer_in_any_company(records: list[LesionRecord]) -> None:
    together, alone = (audited(some, ink_network()) for some in (records[:3], records[2:3]))
    for name, probabilities in alone.after.items():
        assert np.array_equal(probabilities[0], together.after[name][2])
