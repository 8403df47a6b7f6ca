"""The offers on a clinic's disk, and the decisions on them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dermafed.client.node.offers import Offers
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.agreement import Decision, Reason
from dermafed.shared.protocol.offer import Offer
from tests.client.planted_clinic import OFFER, offer

WAITING = (Decision.WAITING, Reason.ASKS_A_PERSON)


def test_a_persons_decision_stays(tmp_path: Path) -> None:
    offers = Offers(tmp_path)
    offers.add(OFFER, 1, WAITING)
    offers.decide(OFFER.hash, Decision.REFUSED)
    stored = offers.add(OFFER, 2, (Decision.APPROVED, Reason.NONE))
    assert (stored.decision, stored.reason, stored.by) == (Decision.REFUSED, Reason.BY_HAND, "person")
    assert stored.runs == (1, 2)
    assert offers.find_run(2) == (OFFER.hash, stored)
    assert offers.find_run(3) is None


def test_the_same_text_is_read_once(tmp_path: Path) -> None:
    """Every message of a run asks for its offer."""
    first, other = (
        offers.add(OFFER, 1, WAITING) for offers in (Offers(tmp_path / "a"), Offers(tmp_path / "b"))
    )
    assert first.offer is other.offer
    assert first.offer == OFFER


def test_plans_are_found_by_name_or_start_of_hash(tmp_path: Path) -> None:
    offers = Offers(tmp_path)
    for each in (OFFER, offer(rounds=2), offer(name="second")):
        offers.add(each, 1, WAITING)
    assert offers.find_plan(OFFER.hash[:12])[0] == OFFER.hash
    assert offers.find_plan("second")[1].offer.name == "second"
    with pytest.raises(SettingsError, match="2 plans"):
        offers.find_plan("first")
    with pytest.raises(SettingsError, match="No plans"):
        offers.find_plan("third")


def test_a_plan_changed_on_disk_is_refused(tmp_path: Path) -> None:
    offers = Offers(tmp_path)
    offers.add(OFFER, 1, WAITING)
    (path,) = tmp_path.glob("*.json")
    path.write_text(path.read_text().replace('\\"rounds\\":3', '\\"rounds\\":9'))
    with pytest.raises(SettingsError, match="the text was changed"):
        offers.load(OFFER.hash)


REFUSED = (Decision.REFUSED, Reason.BEYOND_LIMITS)


def test_offers_that_nobody_decided_on_do_not_pile_up(tmp_path: Path) -> None:
    offers = Offers(tmp_path)
    offers.add(OFFER, 1, WAITING)
    offers.decide(OFFER.hash, Decision.REFUSED)
    approved = offer(name="approved")
    offers.add(approved, 2, (Decision.APPROVED, Reason.NONE))
    for number in range(60):
        for run, policy in ((3, REFUSED), (4, WAITING)):
            offers.add(offer(name=f"{policy[0]}-{number}"), run, policy)
    decisions = Counter((one.decision, one.by) for one in offers.load_all().values())
    assert decisions == {
        (Decision.REFUSED, "person"): 1,
        (Decision.APPROVED, "limits"): 1,
        (Decision.REFUSED, "limits"): 20,
        (Decision.WAITING, ""): 50,
    }
    assert offers.find_run(2) is not None
    assert offers.find_run(3) is not None


def test_a_damaged_offer_does_not_stop_the_run_of_another(tmp_path: Path) -> None:
    offers = Offers(tmp_path)
    offers.add(OFFER, 1, WAITING)
    for name, text in (("a", ""), ("b", "[]"), ("c", '{"runs": 1}'), ("d", "[" * 100_000)):
        (tmp_path / f"{name}.json").write_text(text)
    found = offers.find_run(1)
    assert found is not None
    assert found[0] == OFFER.hash
    offers.add(offer(name="second"), 1, REFUSED)


def test_the_same_plan_for_many_runs_stays_small(tmp_path: Path) -> None:
    offers = Offers(tmp_path)
    for run in range(150):
        stored = offers.add(OFFER, run, WAITING)
    assert stored.runs == tuple(range(50, 150))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 50_000, '{"name": "' + "x" * 200_000 + '"}'])
def test_an_offer_that_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Offer.from_text(text)
