"""Whether the maps of two classes differ, and that of one rather than the other."""

from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.explain.maps import Contrast
from dermafed.shared.explain.quality.class_dependence import class_dependence
from tests.shared.explain.quality.toy_models import centred, white

LEFT = np.array([[1, 0, 0]], np.float32)
RIGHT = np.array([[0, 0, 1]], np.float32)
ZERO = np.zeros((1, 3), np.float32)


def method(first: np.ndarray, second: np.ndarray, rather: np.ndarray) -> Contrast:
    return lambda image, target, against: rather if against is not None else (first, second)[target]


def test_a_method_that_ignores_the_class() -> None:
    found = class_dependence(
        lambda image, target, against: centred(image, target), white(), centred(white(), 0), 0, 1
    )
    assert (found.classes, found.contrast) == (pytest.approx(1), pytest.approx(1))


def test_worked_example() -> None:
    # Means 1/3 of both; centred (2, -1, -1) and (-1, -1, 2): -3 / 6.
    found = class_dependence(method(LEFT, RIGHT, LEFT - RIGHT), white(), LEFT, 0, 1)
    assert found.classes == pytest.approx(-0.5)
    # (1, 0, -1) with (2, -1, -1): 3 / sqrt(2 * 6), and with the other its negative: the larger counts.
    assert found.contrast == pytest.approx(3 / np.sqrt(12))


def test_two_empty_maps_are_one_picture_and_an_empty_and_a_full_one_are_not() -> None:
    found = class_dependence(method(ZERO, ZERO, ZERO), white(), ZERO, 0, 1)
    assert (found.classes, found.contrast) == (1, 1)
    found = class_dependence(method(LEFT, ZERO, ZERO), white(), LEFT, 0, 1)
    assert (found.classes, found.contrast) == (0, 1)
