"""The streaming mean against NumPy's, and its independence of the order of arrival."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dermafed.server.rounds.aggregate import StreamingMean

VALUES = st.floats(-1e6, 1e6, width=32)
CLINICS = st.lists(
    st.tuples(arrays(np.float32, 4, elements=VALUES), st.integers(1, 1_000_000)), min_size=1, max_size=9
)


def streamed(clinics: list[tuple[np.ndarray, int]]) -> np.ndarray:
    mean = StreamingMean(clinics[0][0].size)
    for weights, images in clinics:
        mean.add(weights, images)
    return mean.result()


@settings(deadline=None)
@given(CLINICS)
def test_equals_a_float64_weighted_mean(clinics: list[tuple[np.ndarray, int]]) -> None:
    matrix = np.array([weights for weights, _ in clinics], dtype=np.float64)
    images = [count for _, count in clinics]
    scale = np.abs(matrix).max() + 1
    assert np.abs(streamed(clinics) - np.average(matrix, axis=0, weights=images)).max() <= 1e-12 * scale


@settings(deadline=None)
@given(CLINICS, st.randoms(use_true_random=False))
def test_is_the_correctly_rounded_mean_in_any_order(
    clinics: list[tuple[np.ndarray, int]], order: Random
) -> None:
    total = sum(images for _, images in clinics)
    columns = [[Fraction(float(weights[i])) * images for weights, images in clinics] for i in range(4)]
    exact = [float(sum(column)) / total for column in columns]
    first = streamed(clinics)
    order.shuffle(clinics)
    # Values of very different size leave the sum inexact by parts in 1e30.
    assert np.allclose(first, exact, rtol=1e-15, atol=1e-25)
    np.testing.assert_array_equal(first.astype(np.float32), streamed(clinics).astype(np.float32))


def test_blocks_cover_a_long_vector() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(5, 100_001)).astype(np.float32)
    images = [3, 1, 4, 1, 5]
    result = streamed(list(zip(matrix, images, strict=True)))
    assert np.abs(result - np.average(matrix.astype(np.float64), axis=0, weights=images)).max() <= 1e-15


def test_mean_does_not_depend_on_order_where_a_plain_sum_does() -> None:
    clinics = [(np.array([x], np.float32), 1) for x in (1e8, 1.0, -1e8, 1e-8)]
    assert streamed(clinics)[0] == streamed(clinics[::-1])[0] == (1 + float(np.float32(1e-8))) / 4
