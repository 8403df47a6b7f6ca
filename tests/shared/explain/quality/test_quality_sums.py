"""Sums that merge, their intervals, and impossible ones."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dermafed.shared.errors import DatasetError, FederationError
from dermafed.shared.explain.quality.quality_sums import FEWEST_IMAGES, MEASURES, ExplanationQuality, Moments

DROPS = (0.0, 0.25, 0.5, 0.5, 1.0)
SCORES = [{"drop": drop, "increase": float(drop == 0), "stability_shift": 1 - 2 * drop} for drop in DROPS]

shares = st.floats(0, 1)
scored = st.lists(st.fixed_dictionaries({"drop": shares, "pointing_gain": st.floats(-1, 1)}), min_size=5)


def test_worked_example_of_sums() -> None:
    quality = ExplanationQuality.from_scores(SCORES)
    assert quality.images == 5
    assert quality.moments["drop"] == Moments(5, 2.25, 1.5625)
    assert quality.moments["drop"].mean == 0.45
    assert quality.moments["increase"] == Moments(5, 1, 1)
    assert "pointing" not in quality.moments


def test_intervals() -> None:
    quality = ExplanationQuality.from_scores(SCORES)
    low, high = stats.t.interval(0.95, 4, np.mean(DROPS), stats.sem(DROPS))
    interval = quality.interval("drop")
    assert [interval.low, interval.high] == pytest.approx([max(0, low), high])
    wilson = stats.binomtest(1, 5).proportion_ci(method="wilson")
    increase = quality.interval("increase")
    assert [increase.low, increase.high] == pytest.approx([wilson.low, wilson.high])


@settings(max_examples=30, deadline=None)
@given(scored, scored)
def test_two_halves_make_the_whole(first: list[dict[str, float]], second: list[dict[str, float]]) -> None:
    merged = ExplanationQuality.from_scores(first) + ExplanationQuality.from_scores(second)
    whole = ExplanationQuality.from_scores(first + second)
    assert merged.images == whole.images
    for name, moments in whole.moments.items():
        assert merged.moments[name].count == moments.count
        assert merged.moments[name].mean == pytest.approx(moments.mean, abs=1e-12)
        assert merged.moments[name].standard_error == pytest.approx(moments.standard_error, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(scored)
def test_a_round_trip_changes_nothing(scores: list[dict[str, float]]) -> None:
    quality = ExplanationQuality.from_scores(scores)
    assert ExplanationQuality.from_flat(quality.to_flat()) == quality
    for name, moments in quality.moments.items():
        low, high = MEASURES[name].range
        interval = quality.interval(name)
        assert low <= interval.low <= moments.mean + 1e-9
        assert moments.mean - 1e-9 <= interval.high <= high


def test_clinics_may_have_measures_that_others_lack() -> None:
    with_masks = ExplanationQuality.from_scores([{"drop": 0.5, "pointing": 0.25}] * 6)
    merged = ExplanationQuality.from_scores(SCORES) + with_masks
    assert merged.images == 11
    assert merged.moments["pointing"].count == 6
    assert merged.moments["drop"].count == 11


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DatasetError, match="4 images are too few"):
        ExplanationQuality.from_scores(SCORES[:4])
    few_masks = [{"drop": 0.5, "pointing": 0.5}] * 4 + [{"drop": 0.5}] * 4
    assert set(ExplanationQuality.from_scores(few_masks).moments) == {"drop"}
    assert FEWEST_IMAGES == 5


def test_the_sums_do_not_depend_on_the_order_of_the_images() -> None:
    values = [{"drop": value} for value in np.random.default_rng(0).uniform(size=20)]
    assert ExplanationQuality.from_scores(values) == ExplanationQuality.from_scores(values[::-1])


def test_a_summary_is_json() -> None:
    summary = json.loads(json.dumps(ExplanationQuality.from_scores(SCORES).summary()))
    assert summary["measures"]["drop"]["mean"] == 0.45
    assert summary["measures"]["drop"]["interval"]["method"].startswith("Student")


FIELDS = ExplanationQuality.from_scores(SCORES).to_flat()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": 4.0}, "of 4 images"),
        ({"images": 10.0**9}, "of 1000000000 images"),
        ({"images": 5.5}, "no count"),
        ({"images": float("nan")}, "no count"),
        ({"drop.count": 4.0}, "'drop' counts 4 of 5"),
        ({"drop.count": 6.0}, "'drop' counts 6 of 5"),
        ({"drop.count": float("inf")}, "no count"),
        ({"drop.sum": 5.1}, "sums of 'drop'"),
        ({"drop.sum": -0.1}, "sums of 'drop'"),
        ({"drop.sum": float("nan")}, "sums of 'drop'"),
        ({"drop.squares": 1.0}, "sums of 'drop'"),
        ({"drop.squares": 2.3}, "sums of 'drop'"),
        ({"drop.squares": float("nan")}, "sums of 'drop'"),
        ({"pixel.17": 0.5}, "1 fields are unknown"),
        ({"pointing.sum": 0.5}, "1 fields are unknown"),
    ],
)
def test_impossible_sums_are_refused(changed: Mapping[str, float], message: str) -> None:
    with pytest.raises(FederationError, match=message):
        ExplanationQuality.from_flat({**FIELDS, **changed})


@pytest.mark.parametrize("missing", ["images", "drop.sum", "drop.squares"])
def test_missing_fields_are_refused(missing: str) -> None:
    fields = {name: value for name, value in FIELDS.items() if name != missing}
    with pytest.raises(FederationError, match="missing"):
        ExplanationQuality.from_flat(fields)
