"""Changes in few bits: a rotation, rounding that is right on average, packing; misfits are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.linalg import hadamard

from dermafed.shared.compression.codes import Coder, pack, packed_bytes, signed, unpack
from dermafed.shared.compression.rotation import Rotation
from dermafed.shared.compression.selection import Selection, check_ranges, put, ranges_of, taken
from dermafed.shared.errors import FederationError
from dermafed.shared.privacy.secret_random import SecretRandom

SIZES = st.integers(1, 3000)


@settings(max_examples=30, deadline=None)
@given(SIZES, st.binary(min_size=1, max_size=32), st.integers(0, 2**32 - 1))
def test_a_rotation_keeps_norms_and_gives_whole_numbers_back(size: int, seed: bytes, draw: int) -> None:
    rotation, random = Rotation(seed, size), np.random.default_rng(draw)
    values = random.normal(size=size)
    rotated = rotation.forward(values)
    assert np.linalg.norm(rotated) == pytest.approx(np.linalg.norm(values), rel=1e-12)
    assert np.abs(rotation.inverse(rotated) - values).max() <= 1e-12
    whole = random.integers(-(2**23), 2**23, size).astype(float)
    # Exact both ways, in whatever order a machine adds.
    assert (rotation.forward(rotation.inverse(whole)) == whole).all()


def test_blocks_are_those_of_the_hadamard_matrix() -> None:
    rotation, values = Rotation(b"seed", 3 * 256), np.random.default_rng(1).normal(size=3 * 256)
    dealt = (values * rotation._signs[:768]).reshape(256, 3)  # like cards
    assert np.allclose(rotation.forward(values).reshape(256, 3), hadamard(256) @ dealt / 16, atol=1e-12)
    assert set(rotation._signs) == {-1.0, 1.0}


def test_a_spike_is_spread_over_its_block() -> None:
    spike = np.zeros(40_000)
    spike[77] = 1.0
    # Of 1; where the left over values are rotated once more, it is a sum of such.
    assert np.abs(Rotation(b"seed", spike.size).forward(spike)).max() < 5 / 128


def test_rounding_is_right_on_average_and_never_further_than_a_step() -> None:
    change = np.random.default_rng(2).normal(size=5000)
    coder, random = Coder(Rotation(b"seed", change.size), 8), SecretRandom(bytes(32))
    rotated = coder.rotation.forward(change)
    step = coder.least_step(rotated)
    assert 63 < np.abs(rotated).max() / step <= 127
    draws = [coder.encode(rotated, step, random) for _ in range(200)]
    assert max(np.abs(codes * step - rotated).max() for codes in draws) < step
    mean = np.mean(draws, axis=0) * step
    # Of 200 draws the mean's deviation is at most step / 28, of 5,000 values the largest some 4 of these.
    assert np.abs(mean - rotated).max() < 5.5 * step / 28
    assert np.abs(coder.decode(draws[0], step) - change).std() < step / 2


@pytest.mark.parametrize("value", [128.0, -127.5, np.nan, np.inf])
def test_what_does_not_fit_is_refused(value: float) -> None:
    coder = Coder(Rotation(b"seed", 4), 8)
    fitting = np.array([127.0, -127.0, 0.0, 0.4])
    assert np.abs(coder.encode(fitting, 1.0, SecretRandom.fresh())).max() == 127  # the control
    with pytest.raises(FederationError, match="more than 127 in 8 bits"):
        coder.encode(np.array([value, 0.0, 0.0, 0.0]), 1.0, Up())


class Up:
    """Rounds up only what is no whole number, downwards below 0."""

    def uniform(self, count: int) -> np.ndarray:
        return np.ones(count)


@settings(max_examples=40, deadline=None)
@given(arrays(np.int32, st.integers(1, 70), elements=st.integers(-(2**31), 2**31 - 1)), st.integers(1, 20))
def test_low_bits_are_packed_and_come_back(numbers: np.ndarray, bits: int) -> None:
    data = pack(numbers, bits)
    assert len(data) == packed_bytes(numbers.size, bits) <= numbers.size * bits / 8 + bits
    found = unpack(data, bits, numbers.size)
    assert found.tolist() == [int(number) % 2**bits for number in numbers]
    half = 2 ** (bits - 1)
    assert signed(found, bits).tolist() == [(int(number) + half) % 2**bits - half for number in numbers]


@given(arrays(np.bool_, st.integers(1, 60)))
def test_ranges_are_those_of_a_mask(mask: np.ndarray) -> None:
    ranges = ranges_of(mask)
    check_ranges(ranges, mask.size)
    assert taken(np.arange(mask.size), ranges).tolist() == np.flatnonzero(mask).tolist()
    vector = np.zeros(mask.size)
    put(vector, ranges, np.ones(int(mask.sum())))
    assert (vector == mask).all()


@pytest.mark.parametrize(
    "ranges", [[[0, 0]], [[-1, 2]], [[3, 2], [4, 1]], [[4, 1], [1, 1]], [[8, 3]], [[2, 2**63 - 1]]]
)
def test_other_ranges_are_refused(ranges: list[list[int]]) -> None:
    with pytest.raises(FederationError, match="ranges of a message"):
        check_ranges(np.array(ranges, np.int64), 10)
    both = np.array([[1, 2]])
    with pytest.raises(FederationError, match="selects a weight twice"):
        Selection(both, both, 8).check(10)
