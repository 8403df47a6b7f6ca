from __future__ import annotations

from itertools import combinations

import pytest
from scipy.stats import hypergeom

from dermafed.shared.errors import SettingsError
from dermafed.shared.secure_sum.thresholds import (
    MOST_CLINICS,
    OPENING_RISK,
    SECRECY_RISK,
    least_survivors,
    reach_of,
)


@pytest.mark.parametrize(
    ("clinics", "colluders", "threshold"),
    [(3, 0, 3), (4, 0, 3), (4, 1, 4), (5, 0, 3), (5, 1, 4), (6, 1, 4), (10, 3, 7), (100, 33, 67)],
)
def test_thresholds_by_hand(clinics: int, colluders: int, threshold: int) -> None:
    assert least_survivors(clinics, colluders) == threshold


@pytest.mark.parametrize(("clinics", "colluders"), [(4, 0), (5, 0), (5, 1), (6, 1), (7, 2)])
def test_two_sets_of_the_threshold_share_an_honest_clinic(clinics: int, colluders: int) -> None:
    threshold = least_survivors(clinics, colluders)
    sets = list(map(set, combinations(range(clinics), threshold)))
    hostile = set(range(colluders))
    assert all((one & two) - hostile for one in sets for two in sets)
    assert all(len(one - hostile) >= 3 for one in sets)


@pytest.mark.parametrize(("clinics", "colluders"), [(0, 0), (2, 0), (3, 1), (4, 2), (5, 3)])
def test_too_few_clinics_are_refused(clinics: int, colluders: int) -> None:
    with pytest.raises(SettingsError, match="fewer than 3 honest contributors") as found:
        least_survivors(clinics, colluders)
    assert f"Invite {colluders + 3} clinics at least" in found.value.remedy


def test_more_clinics_than_can_be_summed_exactly_are_refused() -> None:
    assert least_survivors(MOST_CLINICS, 0)
    with pytest.raises(SettingsError, match="2049 clinics"):
        least_survivors(MOST_CLINICS + 1, 0)


def test_all_pairs_up_to_64_clinics() -> None:
    for clinics in (3, 5, 20, 64):
        assert reach_of(clinics, 0) == (clinics - 1, least_survivors(clinics, 0))
    assert reach_of(65, 21).peers < 64


@pytest.mark.parametrize(
    ("clinics", "colluders"), [(65, 0), (65, 21), (100, 1), (100, 33), (300, 100), (1000, 333), (2048, 682)]
)
def test_graphs_by_the_tails_of_another_implementation(clinics: int, colluders: int) -> None:
    peers, threshold = reach_of(clinics, colluders)
    assert peers % 2 == 0
    assert _holds(clinics, colluders, peers, threshold)
    # With two peers less, no threshold does.
    assert not any(_holds(clinics, colluders, peers - 2, lower) for lower in range(peers + 1))


def _holds(clinics: int, colluders: int, peers: int, threshold: int) -> bool:
    others, dropping = clinics - 1, clinics // 10
    hostile = hypergeom.sf(threshold - 3, others, colluders, peers)  # more than threshold - 3 of them collude
    short = hypergeom.sf(peers - threshold, others, dropping, peers)  # fewer than threshold are left
    # A little above, as the other implementation has floats.
    risks = hostile * clinics * SECRECY_RISK, short * clinics * OPENING_RISK
    return threshold >= 3 and max(risks) <= 1.0001


def test_a_graph_needs_few_peers() -> None:
    """With a third of the clinics hostile and a tenth dropping out, as Bell et al. suppose."""
    assert [reach_of(n, n // 3) for n in (100, 300, 1000)] == [(44, 34), (80, 58), (108, 77)]
