"""Private steps of the last layer: the closed form, the bound, and what may enter a gradient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from dermafed.shared.privacy.noisy_sum import GRID, on_grid
from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.training.private_head import PatientImages, noisy_evaluation

RNG = np.random.default_rng(3)
K, C = 5, 3
PATIENTS = [np.array([0, 3]), np.array([1]), np.array([2, 4, 5])]
TRUTH = np.eye(C)[[0, 1, 2, 0, 1, 2]]
IMAGES = PatientImages(RNG.normal(size=(6, K)), TRUTH, np.log([0.2, 0.3, 0.5]), PATIENTS)
LAYER = RNG.normal(size=(K + 1, C))


def loss(layer: np.ndarray, patient: int) -> float:
    logits = np.c_[IMAGES.features, np.ones(6)] @ layer + IMAGES.prior
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-(IMAGES.truth * logs)[PATIENTS[patient]].sum(axis=1).mean())


@pytest.mark.parametrize("patient", range(3))
def test_a_patients_gradient_is_the_mean_losss_slope_and_its_norm_is_in_closed_form(patient: int) -> None:
    gradient = IMAGES.gradient(patient, LAYER)
    for row, column in np.ndindex(LAYER.shape):
        moved = [LAYER.copy(), LAYER.copy()]
        moved[0][row, column] += 1e-5
        moved[1][row, column] -= 1e-5
        slope = (loss(moved[0], patient) - loss(moved[1], patient)) / 2e-5
        assert gradient[row, column] == pytest.approx(slope, abs=1e-8)
    images = PATIENTS[patient]
    inputs = np.c_[IMAGES.features, np.ones(6)][images]
    logits = inputs @ LAYER + IMAGES.prior
    errors = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - TRUTH[images]
    closed = ((errors @ errors.T) * (inputs @ inputs.T)).sum() / len(images) ** 2
    assert (gradient**2).sum() == pytest.approx(closed)


def test_a_step_is_the_sum_of_the_drawn_patients_clipped_gradients_with_noise() -> None:
    clipped = [on_grid(IMAGES.gradient(patient, LAYER), 0.5) / GRID * 0.5 for patient in range(3)]
    assert all(np.linalg.norm(one) <= 0.5 for one in clipped)
    steps = np.array(
        [
            IMAGES.noisy_gradient(LAYER, rate=0.5, clip=0.5, noise=0.4, random=SecretRandom(bytes([n] * 32)))
            for n in range(200)
        ]
    ).reshape(200, -1)
    expected = 0.5 * np.sum(clipped, axis=0)
    variance = 0.25 * np.sum(np.square(clipped), axis=0) + 0.2**2
    assert np.abs(norm.cdf((steps.mean(axis=0) - expected) / np.sqrt(variance / 200)) - 0.5).max() < 0.4999
    np.testing.assert_allclose(steps.var(axis=0), variance, rtol=0.5)
    all_drawn = IMAGES.noisy_gradient(LAYER, rate=1.0, clip=0.5, noise=1e-9, random=SecretRandom.fresh())
    np.testing.assert_allclose(all_drawn.ravel(), np.sum(clipped, axis=0), atol=1e-6)


@given(
    arrays(np.float64, (3, K), elements=st.floats(width=64)),
    arrays(np.float64, (K + 1, C), elements=st.floats(width=64)),
    st.sampled_from([1e-3, 0.5, 40.0]),
)
def test_a_patient_moves_a_step_by_the_bound_at_most_whatever_images_and_model(
    features: np.ndarray, layer: np.ndarray, clip: float
) -> None:
    images = PatientImages(features, TRUTH[:3], IMAGES.prior, [np.array([0]), np.array([1, 2])])
    others = PatientImages(features, TRUTH[:3], IMAGES.prior, images.patients[:1])
    with_it, without = (
        sum(each.sampled(layer, rate=1.0, clip=clip, random=SecretRandom.fresh(), grid=2**10))
        for each in (images, others)
    )
    assert sum(int(step) ** 2 for step in with_it - without) <= 2**20


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
def test_what_is_not_finite_counts_as_nothing_and_changes_no_other_patient(value: float) -> None:
    features = IMAGES.features.copy()
    features[1] = value  # the only image of the second patient
    damaged = PatientImages(features, IMAGES.truth, IMAGES.prior, PATIENTS)
    parts = [on_grid(damaged.gradient(patient, LAYER), 0.5) for patient in range(3)]
    assert int(parts[1] @ parts[1]) <= GRID**2
    np.testing.assert_array_equal(parts[0], on_grid(IMAGES.gradient(0, LAYER), 0.5))
    layer = np.full_like(LAYER, value)  # and so does a model that the server makes up
    assert not on_grid(damaged.gradient(1, layer), 0.5).any()
    total = damaged.noisy_gradient(layer, rate=1.0, clip=0.5, noise=1.0, random=SecretRandom.fresh())
    assert np.isfinite(total).all()


def test_confusion_counts_patients_with_noise_and_is_an_evaluation_whatever_comes() -> None:
    truth, predicted = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 0, 1, 0, 0])
    drawn = np.array(
        [
            noisy_evaluation(truth, predicted, PATIENTS, C, noise=1e-6, random=SecretRandom.fresh()).confusion
            for _ in range(3)
        ]
    )
    # Patient 0 has one image right and one taken for class 1; patient 2's three images are 1/3 and 2/3.
    assert drawn.max() == 1
    assert (drawn[:, 1, 1] == 1).all()
    assert (drawn[:, 2, 0] == 1).all()  # 2/3
    assert not drawn[:, 1, 0].any()  # 1/3
    nothing = noisy_evaluation(truth[:0], predicted[:0], [], C, noise=1e-6, random=SecretRandom.fresh())
    assert nothing.images == nothing.confusion.sum() == 1
