"""The finder by sums, held to scikit-learn's ridge on all cells in one place; impossible sums are refused."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from itertools import pairwise
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from dermafed.shared.errors import FederationError, ModelError
from dermafed.shared.lesion_finder.finder import RIDGE, LesionFinder
from dermafed.shared.lesion_finder.finder_file import finder_file, load_finder, save_finder
from dermafed.shared.lesion_finder.finder_sums import (
    FEWEST_IMAGES,
    FinderSums,
    TooFewMasks,
    check_enough_masks,
    sum_up,
)
from tests.shared.lesion_finder.sample_cells import FEATURES, GRID, Array, cells_and_shares

MODEL = "ab" * 32


def finder_of(cells: Array, shares: Array) -> LesionFinder:
    return LesionFinder.of(FinderSums.of(cells, shares), MODEL)


def test_the_finder_is_scikit_learns_ridge_of_standardised_cells() -> None:
    cells, shares = cells_and_shares(40)
    flat = cells.reshape(-1, FEATURES).astype(np.float64)
    scaler = StandardScaler().fit(flat)
    ridge = Ridge(alpha=RIDGE * len(flat)).fit(scaler.transform(flat), shares.ravel())
    other, _ = cells_and_shares(5, seed=9)
    expected = np.clip(ridge.predict(scaler.transform(other.reshape(-1, FEATURES))), 0, 1)
    found = finder_of(cells, shares).find(other)
    assert (found.shape, found.dtype) == ((5, GRID, GRID), np.float32)
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-6)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=5))
def test_clinics_sums_give_what_all_images_in_one_place_give(sizes: list[int]) -> None:
    cells, shares = cells_and_shares(sum(sizes))
    starts = np.cumsum([0, *sizes])
    clinics = [sum_up([(cells[a:b], shares[a:b])], FEATURES) for a, b in pairwise(starts)]
    together, pooled = LesionFinder.of(reduce(add, clinics), MODEL, len(sizes)), finder_of(cells, shares)
    np.testing.assert_allclose(together.kernel, pooled.kernel, rtol=0, atol=1e-6)
    np.testing.assert_allclose(together.find(cells), pooled.find(cells), atol=1e-6)
    assert together.images == pooled.images == sum(sizes)


def test_batches_do_not_change_the_sums() -> None:
    cells, shares = cells_and_shares(30)
    parts = sum_up(((cells[k : k + 7], shares[k : k + 7]) for k in range(0, 30, 7)), FEATURES)
    whole = FinderSums.of(cells, shares)
    np.testing.assert_allclose(parts.gram, whole.gram, rtol=1e-12)
    np.testing.assert_allclose(parts.targets, whole.targets, rtol=1e-12)
    assert (parts.images, parts.cells, parts.features) == (30, 30 * GRID**2, FEATURES)


@pytest.mark.parametrize("shares", ["drawn", "all lesion", "no lesion"])
def test_sums_of_images_are_accepted(shares: str) -> None:
    cells, drawn = cells_and_shares(FEWEST_IMAGES)
    cells[..., 0] = 0  # a dead channel
    given_shares = {"drawn": drawn, "all lesion": np.ones_like(drawn), "no lesion": np.zeros_like(drawn)}
    FinderSums.of(cells, given_shares[shares]).validate()


def damaged(sums: FinderSums, what: str) -> FinderSums:
    gram, targets = sums.gram.copy(), sums.targets.copy()
    match what:
        case "another shape":
            return replace(sums, gram=gram[1:])
        case "not finite":
            gram[0, 0] = np.nan
        case "of 19 images":
            return replace(sums, images=19)
        case "their number of images":
            return replace(sums, images=sums.images + 1)
        case "far too large":
            gram[0, 0] = 1.1e12 * sums.cells
        case "not symmetric":
            gram[0, 1] += 1
        case "more than all cells":
            targets[-1] = sums.cells + 1
        case "no features have these moments":
            gram[0, 1] = gram[1, 0] = 2 * np.sqrt(gram[0, 0] * gram[1, 1])
        case "no lesions have these shares":
            # Each value is possible alone, but shares from 0 to 1 do not vary so much with a feature.
            targets[0] = 0.05 * np.sqrt(gram[0, 0] * targets[-1])
    return replace(sums, gram=gram, targets=targets)


@pytest.mark.parametrize(
    "what",
    [
        "another shape",
        "not finite",
        "of 19 images",
        "their number of images",
        "far too large",
        "not symmetric",
        "more than all cells",
        "no features have these moments",
        "no lesions have these shares",
    ],
)
def test_sums_that_no_images_give_are_refused(what: str) -> None:
    sums = FinderSums.of(*cells_and_shares(40))
    sums.validate()
    with pytest.raises(FederationError, match=what):
        damaged(sums, what).validate()


def test_maps_that_are_not_finite_are_refused() -> None:
    cells, shares = cells_and_shares(2)
    cells[1, 2, 3, 4] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        FinderSums.of(cells, shares)


def test_few_masks_are_not_summed_up() -> None:
    check_enough_masks(FEWEST_IMAGES)
    with pytest.raises(TooFewMasks, match="No training images"):
        check_enough_masks(0)
    with pytest.raises(TooFewMasks, match="19 training images"):
        check_enough_masks(FEWEST_IMAGES - 1)


def test_sums_of_other_cells_do_not_add() -> None:
    with pytest.raises(FederationError, match="other cells"):
        FinderSums.none(3) + FinderSums.none(4)


def test_no_images_give_no_finder() -> None:
    with pytest.raises(FederationError, match="no image"):
        LesionFinder.of(FinderSums.none(3), MODEL)


def test_cells_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match="9 features of a cell, not 3"):
        finder_of(*cells_and_shares(5)).find(np.zeros((4, 4, 3), np.float32))


def test_a_saved_finder_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    finder, model = finder_of(*cells_and_shares(40)), tmp_path / "model.keras"
    assert load_finder(model, MODEL) is None
    save_finder(model, finder)
    assert finder_file(model).name == "model.finder.json"
    again = load_finder(model, MODEL)
    assert again is not None
    np.testing.assert_array_equal(again.kernel, finder.kernel)
    assert (again.model, again.bias, again.images, again.clinics) == (MODEL, finder.bias, 40, 1)


def test_the_finder_of_another_model_is_refused(tmp_path: Path) -> None:
    save_finder(tmp_path / "model.keras", finder_of(*cells_and_shares(40)))
    with pytest.raises(ModelError, match="belongs to another model"):
        load_finder(tmp_path / "model.keras", "cd" * 32)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"kernel": [1.0, float("inf")]},
        {"kernel": [[1.0]]},
        {"kernel": []},
        {"bias": "x"},
        {"bias": float("nan")},
        {"clinics": 0},
        {"clinics": 41},
        {"images": None},
    ],
)
def test_documents_that_no_finder_has_are_refused(change: dict[str, Any]) -> None:
    document = finder_of(*cells_and_shares(40)).to_document()
    with pytest.raises(FederationError):
        LesionFinder.from_document({**document, **change})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1}', "\x00"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = finder_file(tmp_path / "model.keras")
    path.write_text(content)
    with pytest.raises(ModelError, match=r"model\.finder\.json"):
        load_finder(tmp_path / "model.keras", MODEL)
