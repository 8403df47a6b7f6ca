"""The seed of the graph: nobody chooses it, and whoever is missing in it ends the attempt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dermafed.shared.errors import FederationError
from dermafed.shared.secure_sum.adverts import Cohort
from dermafed.shared.secure_sum.reveals import Reveal, Reveals, revealing, sign_reveal
from tests.shared.secure_sum.federation import SHARES, Federation, enrolment_key, random_values, terms

pytestmark = pytest.mark.usefixtures("each_signature_checked_once")

TERMS = terms(66, 2)


def federation(drops: dict[int, str] | None = None) -> Federation:
    return Federation(TERMS, random_values(np.random.default_rng(0), 66, TERMS.layout), drops or {})


def test_as_many_draw_the_seed_that_one_is_honest() -> None:
    each = federation({0: "keys"})
    cohort = each.keys()
    assert revealing(cohort, TERMS.drawing) == (1, 2, 3)
    found = {clinic: each.clinics[clinic].reveal(cohort) for clinic in range(1, 66)}
    assert [clinic for clinic, reveal in found.items() if reveal] == [1, 2, 3]


def test_whoever_draws_the_seed_must_not_drop_out_and_others_may() -> None:
    assert federation({40: SHARES, 41: SHARES}).run()
    with pytest.raises(FederationError, match="lacks a clinic's part") as refused:
        federation({1: SHARES}).run()
    assert "without the clinics that do not reply" in refused.value.remedy


def test_each_seed_is_another() -> None:
    graphs = []
    for _ in range(2):
        each = federation()
        each.reveals(each.keys())
        graphs.append(each.server._session.graph.ring)
    assert graphs[0] != graphs[1]


def made_up(reveals: Reveals) -> Reveals:
    """The last part is another one than was committed to, and signed by the clinic that made it up."""
    *first, last = reveals.reveals
    return Reveals((*first, replace(last, part=bytes(32))))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda reveals: Reveals(reveals.reveals[:-1]), "lacks a clinic's part"),
        (lambda reveals: Reveals(()), "lacks a clinic's part"),
        (made_up, "not the one that 'clinic-0002' committed to"),
    ],
)
def test_a_server_that_leaves_parts_out_or_makes_them_up_is_refused(change: object, why: str) -> None:
    """Else it could draw graphs until a clinic has no honest peer."""
    each = federation()
    reveals = each.reveals(each.keys())
    with pytest.raises(FederationError, match=why):
        each.clinics[50].deal_after_reveals(change(reveals))  # type: ignore[operator]


def test_parts_that_were_opened_for_another_cohort_are_refused() -> None:
    """Else a server that knows the parts could choose the cohort, and so the graph, of all other clinics."""
    each = federation()
    cohort = each.keys()
    for clinic in (0, 1, 2):
        each.up(each.server.take_reveal, each.clinics[clinic].reveal(cohort))
    reveals = each.server.close_reveals()
    each.clinics[50].reveal(Cohort(cohort.adverts[:-1]))
    with pytest.raises(FederationError, match="committed to"):
        each.clinics[50].deal_after_reveals(reveals)


def test_a_wrong_part_is_not_taken() -> None:
    each = federation()
    cohort = each.keys()
    right = each.clinics[0].reveal(cohort)
    assert right is not None
    context = each.server.context.digest
    for wrong, why in (
        (replace(right, part=bytes(32)), "not the one that it committed to"),
        (sign_reveal(enrolment_key(0), context, cohort, 0, bytes(32)), "not the one that it committed to"),
        (sign_reveal(enrolment_key(5), context, cohort, 0, right.part), "not the one that it committed to"),
        (Reveal(3, bytes(32), bytes(96)), "Nothing is awaited"),
    ):
        with pytest.raises(FederationError, match=why):
            each.server.take_reveal(wrong)
    each.server.take_reveal(right)
