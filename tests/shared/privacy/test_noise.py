"""The secret stream, the discrete Gaussian's distribution, and the bound of one patient's contribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare, kstest, norm

from dermafed.shared.privacy.discrete_gaussian import discrete_gaussian
from dermafed.shared.privacy.noisy_sum import GRID, LEAST_SHARE, noisy_sum, on_grid, share_of, summand
from dermafed.shared.privacy.secret_random import SecretRandom

KEY = bytes(range(32))


def test_the_stream_is_that_of_aes_in_counter_mode_and_a_fresh_one_is_another() -> None:
    # NIST SP 800-38A has no vector from counter 0: the blocks of the counter, one by one, are the stream.
    block = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor()
    blocks = b"".join(block.update(n.to_bytes(16, "big")) for n in range(3))
    assert SecretRandom(KEY).words(6).astype("<u8").tobytes() == blocks
    assert not set(SecretRandom.fresh().words(100).tolist()) & set(SecretRandom.fresh().words(100).tolist())


def test_numbers_below_an_end_are_equally_frequent() -> None:
    drawn = SecretRandom(KEY).below(3, 30_000)
    assert chisquare(np.bincount(drawn, minlength=3)).pvalue > 1e-3
    # Two times so many are three quarters of 64 bits: each fourth word is drawn anew.
    high = SecretRandom(KEY).below(3 * 2**61, 20_000) / (3 * 2**61)
    assert kstest(high, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("deviation", [0.4, 1.0, 3.7])
def test_the_noise_has_the_discrete_gaussians_probabilities(deviation: float) -> None:
    drawn = discrete_gaussian(SecretRandom(KEY), deviation, 200_000)
    values = np.arange(-math.ceil(3 * deviation), math.ceil(3 * deviation) + 1)
    wide = np.arange(-100, 101)
    mass = np.exp(-(values**2) / (2 * deviation**2)) / np.exp(-(wide**2) / (2 * deviation**2)).sum()
    counted = np.array([(drawn == value).sum() for value in values])
    rest = drawn.size - counted.sum()
    observed, expected = np.append(counted, rest), np.append(mass, 1 - mass.sum()) * drawn.size
    assert chisquare(observed, expected).pvalue > 1e-3
    # A control: whole numbers next to normal ones are not that.
    rounded = np.diff(norm.cdf(np.append(values - 0.5, values[-1] + 0.5) / deviation))
    if deviation < 1:
        assert chisquare(observed, np.append(rounded, 1 - rounded.sum()) * drawn.size).pvalue < 1e-3


def test_on_a_fine_grid_it_is_the_normal_distribution() -> None:
    drawn = discrete_gaussian(SecretRandom(KEY), 1.3 * GRID, 100_000)
    assert kstest(drawn / GRID, norm(scale=1.3).cdf).pvalue > 1e-3


def test_a_sample_takes_each_patient_with_its_rate_and_on_its_own() -> None:
    random = SecretRandom(KEY)
    drawn = np.array([random.chosen(0.2, 50) for _ in range(4000)])
    assert np.abs(drawn.mean(axis=0) - 0.2).max() < 5 * math.sqrt(0.16 / 4000)
    assert drawn.sum(axis=1).var() == pytest.approx(50 * 0.16, rel=0.15)  # a Poisson sample's size varies
    assert random.chosen(1.0, 1000).all()


@given(
    arrays(np.float64, st.integers(1, 40), elements=st.floats(width=64)),
    st.floats(1e-6, 1e6),
    st.sampled_from([GRID, 2**10]),
)
@example(np.array([np.nan, 1.0]), 1.0, GRID)
@example(np.array([np.inf, -np.inf]), 1.0, GRID)
@example(np.full(40, 1.7e308), 1.0, GRID)
@example(np.full(3, 5e-324), 1e6, GRID)
@example(np.zeros(5), 1.0, GRID)
def test_no_contribution_exceeds_the_bound(contribution: np.ndarray, bound: float, grid: int) -> None:
    steps = on_grid(contribution, bound, grid)
    assert sum(int(step) ** 2 for step in steps) <= grid**2
    if not np.isfinite(contribution).all():
        assert not steps.any()
    else:  # and one within it is changed by less than a step of the grid
        length = math.hypot(*contribution)
        if length <= bound:
            assert np.abs(steps * (bound / grid) - contribution).max() <= 1.001 * bound / grid


def test_a_long_contribution_keeps_its_direction() -> None:
    steps = on_grid(np.array([[3000.0, 0.0], [0.0, -4000.0]]), 0.5)
    np.testing.assert_allclose(steps / GRID, [0.6, 0, 0, -0.8], atol=2 / GRID)


def test_a_sum_is_that_of_the_contributions_with_noise_of_the_bound() -> None:
    parts = [on_grid(np.array([3.0, 4.0]), 2.0), on_grid(np.array([0.3, 0.0]), 2.0)]
    random = SecretRandom(KEY)
    drawn = np.array([noisy_sum(parts, 2, bound=2.0, noise=0.7, random=random) for _ in range(4000)])
    for column, mean in zip(drawn.T, (1.5, 1.6), strict=True):
        assert kstest(column, norm(mean, 1.4).cdf).pvalue > 1e-4


def test_the_least_share_is_so_wide_that_sums_of_shares_are_discrete_gaussians() -> None:
    def mass(deviation: float, reach: int) -> np.ndarray:
        weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * deviation**2))
        return np.asarray(weights / weights.sum())

    for deviation, differs in ((LEAST_SHARE, False), (0.5, True)):  # and a control
        one = mass(deviation, 400)
        three = np.convolve(np.convolve(one, one), one)
        whole, near = mass(math.sqrt(3) * deviation, 1200), slice(1200 - 30, 1200 + 31)
        ratio = np.log(three[near] / whole[near])[abs(np.arange(-30, 31)) <= 6 * deviation]
        assert bool(np.abs(ratio).max() > 1e-3) is differs
    assert share_of(1e-6, 3, 2**10) == LEAST_SHARE


def test_the_parts_of_as_many_clinics_as_are_certain_are_the_noise_that_is_charged() -> None:
    noise, sharers, grid = 2.5, 3, 2**10
    random = SecretRandom(KEY)
    deviation = share_of(noise, sharers, grid)
    shares = [summand([], 100_000, deviation=deviation, random=random) for _ in range(sharers)]
    assert kstest(np.sum(shares, axis=0) / grid, norm(scale=noise).cdf).pvalue > 1e-3
    assert kstest(np.sum(shares[1:], axis=0) / grid, norm(scale=noise).cdf).pvalue < 1e-3  # a control
