"""The offers on a clinic's disk, and the decisions on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.client.node.offers import Offers
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.agreement import Decision, Reason
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
