from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control.fwer_control import control_fwer
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy.stats import binomtest

from dermafed.shared.errors import SettingsError
from dermafed.shared.metrics.decision.promise import (
    allowed_misses,
    largest_miss_rate,
    melanomas_needed,
    promise,
)
from dermafed.shared.metrics.decision.score_counts import ScoreCounts
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from tests.shared.metrics.decision.sample_lesions import MELANOMAS, counts_of, drawn


@pytest.mark.parametrize(
    ("most_missed", "missed", "needed"),
    [(0.1, 0, 29), (0.1, 3, 76), (0.1, 5, 103), (0.05, 0, 59), (0.05, 1, 93)],
)
def test_how_many_melanomas_a_proof_needs(most_missed: float, missed: int, needed: int) -> None:
    assert melanomas_needed(most_missed, missed=missed) == needed
    assert allowed_misses(needed, most_missed) == missed
    assert allowed_misses(needed - 1, most_missed) == (missed - 1 if missed else None)


@pytest.mark.parametrize(
    ("melanomas", "most_missed", "allowed"),
    [(29, 0.1, 0), (88, 0.1, 3), (110, 0.1, 5), (59, 0.05, 0), (110, 0.05, 1)],
)
def test_how_many_may_be_missed(melanomas: int, most_missed: float, allowed: int) -> None:
    assert allowed_misses(melanomas, most_missed) == allowed
    assert binomtest(allowed, melanomas, most_missed, "less").pvalue <= 0.05
    assert binomtest(allowed + 1, melanomas, most_missed, "less").pvalue > 0.05


@given(st.integers(0, 300), st.floats(0.01, 0.5), st.floats(0.8, 0.99))
def test_what_is_allowed_keeps_the_upper_limit_and_one_more_does_not(
    melanomas: int, most_missed: float, confidence: float
) -> None:
    allowed = allowed_misses(melanomas, most_missed, confidence)
    if allowed is not None:
        assert largest_miss_rate(melanomas, allowed, confidence) <= most_missed + 1e-9
    more = 0 if allowed is None else allowed + 1
    assert largest_miss_rate(melanomas, more, confidence) >= most_missed - 1e-9


@given(st.integers(29, 2000))
def test_clinics_that_differ_keep_the_proof(melanomas: int) -> None:
    """Hoeffding's condition for sums of unequal binomials."""
    allowed = allowed_misses(melanomas)
    assert allowed is not None
    assert allowed <= melanomas * 0.1 - 1


def test_the_threshold_is_that_of_the_rank_that_may_be_missed() -> None:
    counts = counts_of(np.arange(1, 111) / 200, [0.5])
    made = promise(counts)
    assert (made.melanomas, made.allowed, made.threshold) == (110, 5, 6 / 200)
    assert made.sentence == (
        "At most 10% of melanomas are missed, with 95% confidence (110 validation melanomas, 5 may be missed)"
    )


def test_equal_scores_are_missed_together_or_not_at_all() -> None:
    made = promise(counts_of([0.2] * 4 + [0.3] * 4 + [0.9] * 102, [0.5]))
    assert made.threshold == 0.3


@pytest.mark.parametrize("melanomas", [0, 1, 28])
def test_too_few_melanomas_promise_nothing(melanomas: int) -> None:
    made = promise(counts_of([0.9] * melanomas, [0.1]))
    assert made.threshold is None
    assert made.allowed is None
    assert made.sentence == f"Cannot be promised here: {melanomas} melanomas, at least 29 are needed"


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_shares_out_of_range_are_refused(share: float) -> None:
    with pytest.raises(SettingsError, match="missed melanomas is"):
        promise(drawn(50, 50), share)
    with pytest.raises(SettingsError, match="confidence is"):
        promise(drawn(50, 50), confidence=share)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("melanomas", "most_missed"), [(40, 0.1), (150, 0.1), (150, 0.05)])
def test_the_choice_agrees_with_mapie(melanomas: int, most_missed: float, seed: int) -> None:
    counts = drawn(melanomas, 200, seed)
    # MAPIE rounds n * risk up, so rounding errors have to be taken off.
    risks = np.maximum(counts.missed / melanomas - 1e-12, 0)
    values = compute_hoeffding_bentkus_p_value(risks, melanomas, most_missed, binary=True)[:, 0]
    rejected = control_fwer(values, 0.05, "fixed_sequence")
    assert promise(counts, most_missed).threshold == counts.thresholds[rejected[-1]]


def kept(thresholds: list[float], most_missed: float) -> float:
    """The share of promises whose true miss rate is within what was promised."""
    return float(np.mean(MELANOMAS.cdf(thresholds) <= most_missed))


@pytest.mark.parametrize(("melanomas", "most_missed"), [(29, 0.1), (110, 0.1), (110, 0.05)])
def test_the_promise_is_kept_in_95_of_100_draws(melanomas: int, most_missed: float) -> None:
    """Of 2000 draws; less than 95 % by chance alone is allowed 3 standard errors, 1.5 %."""
    made = [promise(drawn(melanomas, 1, seed), most_missed).threshold for seed in range(2000)]
    found = [threshold for threshold in made if threshold is not None]
    assert len(found) == 2000
    assert 0.935 <= kept(found, most_missed) < 0.99


def test_the_promise_is_kept_over_clinics_that_differ_and_scores_in_bins() -> None:
    """Three clinics add their histograms; the true miss rate is their mean by numbers of melanomas."""
    rng, sizes, powers = np.random.default_rng(5), [20, 30, 60], [0.6, 1.0, 1.8]
    made = []
    for _ in range(500):
        evaluations = [
            clinic(MELANOMAS.rvs(size, random_state=rng) ** power)
            for size, power in zip(sizes, powers, strict=True)
        ]
        total = evaluations[0] + evaluations[1] + evaluations[2]
        threshold = promise(ScoreCounts.of_evaluation(total, 0)).threshold
        assert threshold is not None
        rates = [MELANOMAS.cdf(threshold ** (1 / power)) for power in powers]
        made.append(np.average(rates, weights=sizes))
    assert np.mean(np.array(made) <= 0.1) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 500)


def clinic(melanomas: np.ndarray) -> ClinicEvaluation:
    scores = np.append(melanomas, 0.5)
    labels = np.append(np.zeros(melanomas.size, int), 1)
    return ClinicEvaluation.from_predictions(labels, np.stack([scores, 1 - scores], axis=1))
