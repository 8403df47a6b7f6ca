from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.secure_sum.fixed_point import Layout, Part
from dermafed.shared.secure_sum.thresholds import MOST_CLINICS

DELTA, COUNTS = Part("delta", 4, 3.0), Part("counts", 2, 1000, whole=True)
LAYOUT = Layout((DELTA, COUNTS), 5)
VALUES = {"delta": [0.0, 3.0, -3.0, 0.1], "counts": [1000, 0]}


def test_a_step_by_hand() -> None:
    # 2**31 - 1 over 5 is 429,496,729; 3 over it is 6.98e-9, and the next power of two 2**-27 = 7.45e-9.
    assert LAYOUT.step(DELTA) == 2**-27
    assert LAYOUT.step(COUNTS) == 1
    vector = LAYOUT.encode(VALUES)
    assert vector.dtype == np.uint32
    assert vector.tolist() == [0, 3 * 2**27, 2**32 - 3 * 2**27, round(0.1 * 2**27), 1000, 0]


@settings(max_examples=60, deadline=None)
@given(st.integers(3, MOST_CLINICS), st.floats(1e-6, 1e9), st.integers(0, 2**31))
def test_a_sum_is_exact_to_a_millionth_of_its_range(clinics: int, largest: float, seed: int) -> None:
    layout = Layout((Part("values", 3, largest),), clinics)
    values = np.random.default_rng(seed).uniform(-largest, largest, (clinics, 3))
    values[:, 1], values[:, 2] = largest, -largest  # the largest sum there is
    total = sum((layout.encode({"values": each}) for each in values), np.zeros(3, np.uint32))
    error = np.abs(layout.decode(total)["values"] - values.sum(axis=0)).max()
    assert error <= 2**-20 * clinics * largest


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 60), st.integers(0, 2**31))
def test_whole_numbers_add_up_exactly(clinics: int, seed: int) -> None:
    layout = Layout((Part("counts", 5, 10**7, whole=True),), clinics)
    counts = np.random.default_rng(seed).integers(-(10**7), 10**7, (clinics, 5), endpoint=True)
    total = sum((layout.encode({"counts": each}) for each in counts), np.zeros(5, np.uint32))
    assert layout.decode(total)["counts"].tolist() == counts.sum(axis=0).tolist()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"delta": [0, 3.000001, 0, 0]}, "a number of 3, beyond 3"),
        ({"delta": [0, -4, 0, 0]}, "a number of 4, beyond 3"),
        ({"delta": [0, np.nan, 0, 0]}, "not finite"),
        ({"delta": [0, -np.inf, 0, 0]}, "not finite"),
        ({"delta": [0, 0, 0]}, "has 3 numbers, not 4"),
        ({"counts": [1001, 0]}, "beyond 1000"),
        ({"counts": [0.5, 0]}, "not whole"),
    ],
)
def test_what_does_not_fit_is_refused_and_never_clipped(values: dict[str, list[float]], why: str) -> None:
    with pytest.raises(FederationError, match=why) as found:
        LAYOUT.encode({**VALUES, **values})
    assert found.value.where in values
    assert found.value.remedy


@given(st.lists(st.lists(st.integers(-(2**60), 2**60), min_size=2, max_size=2), min_size=1, max_size=5))
def test_multiples_of_a_unit_are_of_any_size_and_only_their_sum_must_fit(own: list[list[int]]) -> None:
    layout = Layout((Part.of_units("gradient", 3, 0.25),), 5)
    wanted = 2**31 - 1
    rest = [[wanted - sum(each[0] for each in own), -wanted - sum(each[1] for each in own)]]
    total = np.zeros(3, np.uint32)
    for first, second in [*own, *rest]:
        total += layout.encode({"gradient": np.array([first, second, 7], np.int64)})
    found = layout.decode(total)["gradient"]
    assert found.tolist() == [0.25 * wanted, -0.25 * wanted, 0.25 * 7 * (len(own) + 1)]


def test_other_values_than_those_of_the_layout_are_refused() -> None:
    for values in ({"delta": [0] * 4}, {**VALUES, "seconds": [1]}):
        with pytest.raises(FederationError, match="not those of the secure sum"):
            LAYOUT.encode(values)


def test_impossible_layouts_are_refused() -> None:
    with pytest.raises(SettingsError, match="cannot be summed over 5 clinics") as found:
        Layout((replace(COUNTS, largest=429_496_730),), 5)
    assert "429,496,729 at most" in found.value.remedy
    for largest in (0, -1, np.inf, np.nan):
        with pytest.raises(SettingsError, match="largest value"):
            Layout((replace(DELTA, largest=largest),), 5)


def test_whoever_encodes_otherwise_has_another_codec() -> None:
    others = [
        Layout((DELTA, COUNTS), 6),
        Layout((COUNTS, DELTA), 5),
        Layout((replace(DELTA, largest=4.0), COUNTS), 5),
        Layout((DELTA, replace(COUNTS, whole=False)), 5),
        Layout((DELTA, replace(COUNTS, unit=1.0)), 5),
    ]
    assert len({LAYOUT.codec, *(other.codec for other in others)}) == 6
    assert Layout((DELTA, COUNTS), 5).codec == LAYOUT.codec
