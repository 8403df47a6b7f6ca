from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from dermafed.shared.metrics.paired import bootstrap_p, combined_p, holm, mcnemar_p

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_bootstrap_p_counts_the_smaller_tail() -> None:
    differences = np.array([-1.0] * 2 + [0.0] + [1.0] * 96)
    assert bootstrap_p(differences) == pytest.approx(2 * 4 / 100)
    assert bootstrap_p(-differences) == pytest.approx(2 * 4 / 100)


def test_no_difference_at_all_is_no_evidence() -> None:
    assert bootstrap_p(np.zeros(50)) == 1


def test_rounding_is_not_a_difference() -> None:
    """Two equal means of recalls differ in their last digit, on one side only."""
    assert bootstrap_p(np.full(50, 0.1 + 0.2 - 0.3)) == 1


def test_bootstrap_p_is_never_zero() -> None:
    assert bootstrap_p(np.ones(999)) == pytest.approx(0.002)


def test_mcnemar_is_the_sign_test_of_those_they_differ_on() -> None:
    mine = np.array([True] * 1 + [False] * 9 + [True] * 30 + [False] * 5)
    yours = np.array([False] * 1 + [True] * 9 + [True] * 30 + [False] * 5)
    assert mcnemar_p(mine, yours) == pytest.approx(22 / 1024)
    assert mcnemar_p(mine, yours) == pytest.approx(2 * binom.cdf(1, 10, 0.5))
    assert mcnemar_p(mine, mine) == 1


def test_p_values_of_several_seeds() -> None:
    assert combined_p([0.6, 0.01, 0.02]) == pytest.approx(0.03)
    assert combined_p([0.04]) == 0.04
    assert combined_p([0.2, 0.01]) == pytest.approx(0.02)  # Bonferroni's for two
    assert combined_p([0.9, 0.9, 0.9]) == 1


def test_combined_p_is_valid_for_equal_tests() -> None:
    """The same test three times must not look more certain than once."""
    assert combined_p([0.03] * 3) >= 0.03


def test_worked_example_of_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert holm([]) == []


@given(p_values)
def test_holm_lies_between_none_and_bonferroni_in_the_same_order(values: list[float]) -> None:
    adjusted = holm(values)
    for before, after in zip(values, adjusted, strict=True):
        assert before <= after <= min(1.0, len(values) * before) + 1e-12
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
