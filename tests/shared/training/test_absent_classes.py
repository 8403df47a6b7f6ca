"""The training of a clinic that lacks a class which others have."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.model.classifier import last_layer_inputs, to_flat
from dermafed.shared.training.data import LabelledImages
from dermafed.shared.training.trainer import FloatVector
from dermafed.shared.training.training_network import shared_classifier
from tests.shared.training.tiny import CLASSES, lesions, plain, start, tiny, trainer

RARE = 2  # the class that clinics lack


def of_classes(data: LabelledImages, *classes: int) -> LabelledImages:
    known = np.isin(data.labels, classes)
    return LabelledImages(data.images[known], data.labels[known])


def last_layer(weights: FloatVector) -> FloatVector:
    """Kernel and bias, (K + 1, C)."""
    size = last_layer_inputs(shared_classifier(tiny())) + 1
    return weights[-size * len(CLASSES) :].reshape(size, len(CLASSES))


def test_the_last_layer_is_the_end_of_the_flat_vector() -> None:
    model = shared_classifier(tiny())
    kernel, bias = model.get_layer("logits").get_weights()
    np.testing.assert_array_equal(last_layer(to_flat(model)), [*kernel, bias])


@pytest.mark.parametrize("balance", ["none", "weights", "logits", "global"])
def test_images_of_other_classes_do_not_move_an_absent_class(balance: str) -> None:
    settings, data = tiny(), of_classes(lesions(12), 0, 1)
    weights = start(settings)

    def moved(*, mask: bool) -> FloatVector:
        recipe = plain(balance=balance, mask_absent=mask, weight_decay=0.0, label_smoothing=0.1)
        clinic = trainer(settings, recipe, data, class_counts=(9, 9, 9))
        update = clinic.train(weights, 1, {})
        assert np.isfinite(update.weights).all()
        assert 0 < update.metrics["loss"] < 10
        return np.abs(last_layer(update.weights) - last_layer(weights)).max(axis=0)

    assert (moved(mask=False) > 1e-3).all()
    masked = moved(mask=True)
    assert masked[RARE] == 0
    assert (np.delete(masked, RARE) > 1e-3).all()


@pytest.mark.parametrize("class_counts", [(9, 9, 0), None])
def test_a_class_that_nobody_has_is_trained_down_as_before(class_counts: tuple[int, ...] | None) -> None:
    settings, data = tiny(), of_classes(lesions(12), 0, 1)
    masked, plainly = (
        trainer(settings, plain(mask_absent=mask), data, class_counts=class_counts).train(
            start(settings), 1, {}
        )
        for mask in (True, False)
    )
    np.testing.assert_array_equal(masked.weights, plainly.weights)


def test_where_the_clinic_has_all_classes_nothing_changes() -> None:
    settings = tiny()
    masked, plainly = (
        trainer(
            settings,
            plain(mask_absent=mask, balance="logits", label_smoothing=0.1),
            lesions(12),
            class_counts=(40, 4, 9),
        ).train(start(settings), 1, {})
        for mask in (True, False)
    )
    np.testing.assert_array_equal(masked.weights, plainly.weights)


def test_one_image_alone_teaches_nothing_of_other_classes() -> None:
    """A softmax over one class is 1: the loss is 0, and so are its slopes."""
    settings, recipe = tiny(), plain(mask_absent=True, weight_decay=0.0)
    weights = start(settings)
    update = trainer(settings, recipe, of_classes(lesions(3), 0), class_counts=(5, 5, 5)).train(
        weights, 1, {}
    )
    assert update.metrics["loss"] == 0
    np.testing.assert_array_equal(last_layer(update.weights), last_layer(weights))
