from __future__ import annotations

import keras
import numpy as np
import pytest

from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat, trainable_mask
from dermafed.shared.training.loss import PriorAdjustedCrossEntropy, targets
from dermafed.shared.training.training_network import ProximalModel
from tests.shared.training.tiny import lesions, start, tiny

MU, RATE, DELTA = 3.0, 0.1, 0.02


def one_step(mu: float) -> tuple[float, np.ndarray, int]:
    """Loss and change of weights by a plain SGD step, DELTA away from the anchor; number of weights."""
    classifier = build_classifier(tiny(batch_norm="frozen"))
    weights, trained = start(tiny()), trainable_mask(classifier)
    set_flat(classifier, weights)
    model = ProximalModel(classifier, mu)
    model.compile(keras.optimizers.SGD(RATE), PriorAdjustedCrossEntropy(), run_eagerly=True)
    model.set_anchor()
    moved = weights + DELTA * trained.astype(np.float32)
    set_flat(classifier, moved)
    data = lesions(6)
    loss = model.train_on_batch(data.images.astype(np.float32), targets(data.labels, np.zeros(3, np.float32)))
    return float(loss), (to_flat(classifier) - moved)[trained], int(trained.sum())


def test_the_term_is_half_mu_times_the_squared_distance_and_pulls_with_mu_times_the_distance() -> None:
    loss, step, count = one_step(MU)
    plain_loss, plain_step, _ = one_step(0.0)
    assert loss - plain_loss == pytest.approx(MU / 2 * count * DELTA**2, rel=1e-4)
    np.testing.assert_allclose(step - plain_step, -RATE * MU * DELTA, rtol=0, atol=1e-6)
