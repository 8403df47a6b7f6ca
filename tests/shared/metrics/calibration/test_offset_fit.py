"""The fit by sums, held to scipy's of all images in one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dermafed.shared.metrics.calibration.class_offsets import SCALES, ClassOffsets
from dermafed.shared.metrics.calibration.offset_fit import MOST_POINTS, PENALTY, FittedOffsets, fit_offsets
from dermafed.shared.metrics.calibration.offset_sums import OffsetSums
from tests.shared.metrics.calibration.sample_calibration import drawn
from tests.shared.metrics.calibration.test_offset_sums import loss_of

Images = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def fit(clinics: dict[str, Images], centre: ClassOffsets | None = None, **options: Any) -> FittedOffsets:
    def ask(point: ClassOffsets) -> Mapping[str, OffsetSums]:
        return {name: OffsetSums.of(*images, point) for name, images in clinics.items()}

    classes = next(iter(clinics.values()))[0].shape[1]
    found = fit_offsets(ask, centre or ClassOffsets.none(classes), **options)
    assert found is not None
    return found


def by_scipy(images: Images, centre: ClassOffsets) -> np.ndarray[Any, Any]:
    loss, middle = loss_of(*images), centre.vector

    def penalised(x: Any) -> float:
        return loss(x) + PENALTY / 2 * float(((x - middle) ** 2).sum())

    best = minimize(penalised, middle, method="BFGS", options={"gtol": 1e-9}).x
    return np.asarray(
        minimize(penalised, best, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}).x
    )


def biased(seed: int = 0, images: int = 400) -> Images:
    """Labels by p = softmax(z / 2); what the model says is z and an offset of (2, 0, -1) too much."""
    logits, labels = drawn(images, seed, temperature=2.0, spread=3.0)
    return logits.astype(np.float64) + np.array([2.0, 0.0, -1.0]), labels


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 9999), st.lists(st.integers(5, 80), min_size=1, max_size=4))
def test_clinics_fit_what_scipy_fits_to_all_images(seed: int, counts: list[int]) -> None:
    logits, labels = biased(seed, sum(counts))
    assume(len(np.unique(labels)) == 3)  # a class without images stays where it is
    parts = np.split(np.arange(len(labels)), np.cumsum(counts)[:-1])
    found = fit({str(n): (logits[part], labels[part]) for n, part in enumerate(parts)})
    assert found.converged
    assert found.point.vector == pytest.approx(by_scipy((logits, labels), ClassOffsets.none(3)), abs=1e-6)
    assert found.counts == tuple(np.bincount(labels, minlength=3).tolist())


def test_a_known_bias_is_found() -> None:
    """softmax(z / 2) = softmax((z + bias) / 2 - bias / 2), centred: -(2, 0, -1) / 2 + 1/6."""
    found = fit({"all": biased(images=40_000)})
    assert found.point.vector == pytest.approx([0.5, -5 / 6, 1 / 6, 4 / 6], abs=0.03)
    assert found.points <= 8


def test_the_centre_is_what_no_image_changes() -> None:
    centre = ClassOffsets(0.8, (1.0, -1.0, 0.0))
    assert fit_offsets(lambda point: {}, centre) is None
    nothing = np.empty((0, 3)), np.empty(0, np.int64)
    assert fit_offsets(lambda point: {"": OffsetSums.of(*nothing, point)}, centre) is None
    one = np.array([[0.0, 0.0, 0.0]]), np.array([1])
    moved = fit({"one": one}, centre)
    assert moved.converged
    assert np.abs(moved.point.vector - centre.vector).max() < 0.35  # a third of the pull p - y, at most


def test_a_class_without_images_keeps_the_centres_offset() -> None:
    logits, labels = biased()
    two = labels != 2
    centre = ClassOffsets(1.0, (0.0, 0.0, 0.5))
    found = fit({"two": (logits[two], labels[two])}, centre)
    assert found.converged
    assert found.point.offsets[2] == 0.5
    assert found.counts[2] == 0


def test_a_model_that_is_right_on_every_image_has_a_fit() -> None:
    logits = 3 * np.eye(3).repeat(20, axis=0)
    found = fit({"all": (logits, np.arange(60) // 20)})
    assert found.converged
    assert 1 < found.point.scale < SCALES[1]


def test_a_model_that_is_always_wrong_ends_at_the_least_scale() -> None:
    logits = -9 * np.eye(3).repeat(200, axis=0)
    found = fit({"all": (logits, np.arange(600) // 200)})
    assert found.converged
    assert found.point.scale == SCALES[0]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 9999), st.floats(0.05, 40), st.floats(0.1, 8), st.integers(2, 8))
def test_it_ends_within_the_points_allowed(
    seed: int, spread: float, temperature: float, classes: int
) -> None:
    logits, labels = drawn(80, seed, classes=classes, spread=spread, temperature=temperature)
    asked: list[ClassOffsets] = []

    def ask(point: ClassOffsets) -> Mapping[str, OffsetSums]:
        asked.append(point)
        return {"": OffsetSums.of(logits, labels, point)}

    found = fit_offsets(ask, ClassOffsets.none(classes))
    assert found is not None
    assert found.points == len(asked) <= MOST_POINTS
    assert found.converged
    first = OffsetSums.of(logits, labels, asked[0]).loss / 80
    assert found.loss <= first + 1e-9
    found.point.validate(classes)


def test_a_clinic_that_falls_away_is_left_out_of_the_whole_fit() -> None:
    here, gone = biased(1), drawn(300, 2)
    calls = 0

    def ask(point: ClassOffsets) -> Mapping[str, OffsetSums]:
        nonlocal calls
        calls += 1
        names = {"here": here, "gone": gone} if calls < 3 else {"here": here}
        return {name: OffsetSums.of(*images, point) for name, images in names.items()}

    found = fit_offsets(ask, ClassOffsets.none(3))
    assert found is not None
    assert found.converged
    assert found.images == 400
    assert found.point.vector == pytest.approx(fit({"here": here}).point.vector, abs=1e-6)


def test_without_an_answer_midway_the_best_point_so_far_stands() -> None:
    images, calls = biased(), iter([True] * 4)
    found = fit_offsets(
        lambda point: {"": OffsetSums.of(*images, point)} if next(calls, False) else {}, ClassOffsets.none(3)
    )
    assert found is not None
    assert not found.converged
    assert found.point != ClassOffsets.none(3)
