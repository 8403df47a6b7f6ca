"""Sums over groups: who is with whom is drawn by all clinics, and each group's sum is opened by itself."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.secure_sum.adverts import Cohort
from dermafed.shared.secure_sum.context import KeyContext
from dermafed.shared.secure_sum.reveals import Reveals
from dermafed.shared.secure_sum.server_side import ServerSide
from dermafed.shared.secure_sum.sum_log import after
from dermafed.shared.secure_sum.terms import Terms
from dermafed.shared.secure_sum.thresholds import least_cohort, least_survivors
from tests.shared.secure_sum.federation import Federation, random_values, task, terms

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

NINE = replace(terms(9, 0), groups=3)
VALUES = random_values(np.random.default_rng(0), 12, NINE.layout)


def grouped(agreed: Terms = NINE, attempt: int = 1, of: Federation | None = None) -> Federation:
    logs = {} if of is None else of.logs
    return Federation(agreed, VALUES, attempt=attempt, logs=logs)


def drawn(federation: Federation) -> tuple[ServerSide, ...]:
    """The sides of the groups, once all clinics have dealt."""
    reveals = federation.reveals(federation.keys())
    sides = federation.server.groups()
    for side in sides:
        for clinic in side._session.adverts:
            side.take_dealt(federation.clinics[clinic].deal_after_reveals(reveals))
    return sides


def members(sides: Iterable[ServerSide]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(side._session.adverts) for side in sides)


def opened(federation: Federation, side: ServerSide, silent: tuple[int, ...] = ()) -> np.ndarray:
    """The sum of a group of which some do not send their values."""
    for clinic, shares in side.close_shares().items():
        if clinic not in silent:
            side.take_masked(federation.clinics[clinic].mask(shares, VALUES[clinic]))
    survivors = side.close_masked()
    for clinic in survivors.clinics:
        side.take_signed(federation.clinics[clinic].sign(survivors))
    signatures = side.close_survivors()
    for clinic in survivors.clinics:
        side.take_released(federation.clinics[clinic].release(signatures))
    return side.close()["delta"]


def test_each_groups_sum_is_that_of_its_clinics() -> None:
    federation = grouped()
    sides = drawn(federation)
    assert sorted(itertools.chain(*members(sides))) == list(range(9))
    assert [len(own) for own in members(sides)] == [3, 3, 3]
    for side, own in zip(sides, members(sides), strict=True):
        expected = np.sum([VALUES[clinic]["delta"] for clinic in own], axis=0)
        assert opened(federation, side) == pytest.approx(expected, abs=1e-6)


def test_a_group_bears_dropouts_as_a_sum_of_so_many_does_and_one_more_reveals_nothing() -> None:
    federation = grouped(replace(terms(12, 0), groups=3))  # groups of four, of which three open a sum
    first, second, _ = drawn(federation)
    gone = tuple(first._session.adverts)[:1]
    kept = [clinic for clinic in first._session.adverts if clinic not in gone]
    expected = np.sum([VALUES[clinic]["delta"] for clinic in kept], axis=0)
    assert opened(federation, first, gone) == pytest.approx(expected, abs=1e-6)
    names = [second._terms.roster.names[clinic] for clinic in tuple(second._session.adverts)[:2]]
    with pytest.raises(FederationError, match="2 clinics sent their masked vectors, of the 3") as refused:
        opened(federation, second, tuple(second._session.adverts)[:2])
    assert refused.value.what.endswith("missing: " + ", ".join(names))


def test_who_is_with_whom_is_drawn_anew_and_evenly() -> None:
    """Of 200 drawings each pair of nine clinics is together in a quarter, by 4.5 standard deviations."""
    pairs: Counter[tuple[int, int]] = Counter()
    for _ in range(200):
        federation = grouped()
        federation.reveals(federation.keys())
        for own in members(federation.server.groups()):
            pairs.update(itertools.combinations(own, 2))
    assert len(pairs) == 36
    assert all(abs(count - 50) <= 4.5 * (200 * 0.25 * 0.75) ** 0.5 for count in pairs.values())


def test_a_server_cannot_choose_among_drawings_of_an_attempt() -> None:
    """It knows a drawing once all of a cohort have opened their parts, which they do for one cohort."""
    federation = grouped(replace(terms(12, 0), groups=3))
    cohort = federation.keys()
    other = Cohort(cohort.adverts[:10])
    parts = [federation.clinics[clinic].reveal(other) for clinic in range(10)]
    assert all(parts)
    with pytest.raises(FederationError, match="asked for where"):
        federation.clinics[0].reveal(cohort)
    # With parts of some of a cohort there is no group, and so no share of any secret.
    few = Reveals(tuple(part for part in parts[:9] if part is not None))
    with pytest.raises(FederationError, match="lacks a clinic's part"):
        federation.clinics[0].deal_after_reveals(few)


def test_clinics_that_were_told_of_different_cohorts_have_no_group_in_common() -> None:
    federation = grouped(replace(terms(12, 0), groups=3))
    cohort = federation.keys()
    # Six see the cohort without the last two; of neither cohort are there all parts.
    shown = {clinic: Cohort(cohort.adverts[:10]) if clinic < 6 else cohort for clinic in range(12)}
    parts = [federation.clinics[clinic].reveal(shown[clinic]) for clinic in range(12)]
    mixed = Reveals(tuple(part for part in parts[:10] if part is not None))
    with pytest.raises(FederationError, match="is not the one that"):
        federation.clinics[0].deal_after_reveals(mixed)


def test_each_attempt_has_other_groups_and_who_signed_is_in_no_later_one() -> None:
    first = grouped()
    sides = drawn(first)
    opened(first, sides[0])
    second = grouped(attempt=2, of=first)
    signed = tuple(sides[0]._session.adverts)
    for clinic in range(9):
        side = second.clinics[clinic]
        if clinic in signed:
            with pytest.raises(FederationError, match="signed already"):
                side.advertise(second.server.context, task())
        else:
            second.server.take_advert(side.advertise(second.server.context, task()))
    with pytest.raises(FederationError, match="6 clinics sent their keys, of the 9"):
        second.server.close_keys()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2), st.integers(0, 2**32))
def test_no_combination_of_a_rounds_sums_shows_fewer_than_three_honest_clinics(
    colluders: int, seed: int
) -> None:
    """Whatever the groups, the attempts' order, and who sends and signs: as the clinics' logs allow."""
    random = np.random.default_rng(seed)
    clinics = int(random.integers(3 * (colluders + 3), 3 * (colluders + 7)))
    logs = {clinic: list[str]() for clinic in range(colluders, clinics)}  # of the honest
    sums = [
        sent
        for attempt in random.permutation([1, 2, 3])
        for first, order in enumerate([random.permutation(clinics)] * 3)
        if (sent := sent_in(order[first::3], NINE.context(task(), int(attempt)), logs, random, colluders))
        is not None
    ]
    coefficients = random.integers(-2, 3, len(sums))
    total = np.zeros(clinics) + sum(
        c * np.isin(np.arange(clinics), s) for c, s in zip(coefficients, sums, strict=True)
    )
    if any(coefficients):
        seen = Counter(total[colluders:])
        assert max(count for value, count in seen.items() if value) >= 3


def sent_in(
    group: np.ndarray,
    context: KeyContext,
    logs: dict[int, list[str]],
    random: np.random.Generator,
    colluders: int,
) -> list[int] | None:
    """Who is in a group's sum, if enough signed it."""
    masked, signed = [], []
    for clinic in map(int, group):
        with suppress(FederationError):
            if clinic in logs:
                logs[clinic] = after(logs[clinic], str(context.attempt), context)
            masked.append(clinic)
            if clinic not in logs:
                signed.append(clinic)
            elif random.random() < 0.7:
                logs[clinic] = after(logs[clinic], "signed", context)
                signed.append(clinic)
    threshold = least_survivors(len(group), colluders)
    return masked if len(signed) >= threshold else None


@pytest.mark.parametrize(
    ("clinics", "colluders", "groups", "needed"),
    [(9, 0, 3, 9), (12, 1, 3, 12), (30, 1, 3, 16), (30, 1, 5, 20), (5, 1, 1, 4)],
)
def test_so_many_clinics_are_needed(clinics: int, colluders: int, groups: int, needed: int) -> None:
    assert least_cohort(clinics, colluders, groups) == needed


@pytest.mark.parametrize(("clinics", "colluders", "groups"), [(5, 0, 3), (8, 0, 3), (11, 1, 3), (14, 0, 5)])
def test_too_few_clinics_for_groups_of_three_honest_ones_are_refused(
    clinics: int, colluders: int, groups: int
) -> None:
    with pytest.raises(SettingsError, match=f"needs {groups} sums over groups .* there are {clinics}"):
        replace(terms(clinics, colluders), groups=groups)
