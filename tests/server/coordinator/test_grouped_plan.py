"""Plans with secure sums and a robust rule: from nine clinics on, and what clinics are told of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.client.commands.plans import describe
from dermafed.client.node.clinic_settings import Limits
from dermafed.client.node.offers import Offers
from dermafed.client.node.offers import _new as stored
from dermafed.client.node.plan_roster import is_known_roster
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.coordinator.run_plan import RunPlan
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.agreement import Decision, Reason
from dermafed.shared.protocol.defence_words import defence_words
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.sent import SENT_IN_GROUPS
from tests.server.summing_clinics import key_of
from tests.shared.secure_sum.federation import openssh

RULE = '[robust]\nrule = "median"\n'


def plan_of(clinics: int, colluders: int = 0, rule: str = RULE, more: str = "") -> RunPlan:
    names = ", ".join(f'"c{number}"' for number in range(clinics))
    secure = f'[privacy]\naggregation = "secure"\ncolluders = {colluders}\n'
    return parse_plan(f'name = "a"\nclinics = [{names}]\n{more}{secure}{rule}', Path("plan.toml"))


@pytest.mark.parametrize(
    ("clinics", "colluders", "rule", "groups", "quorum"),
    [
        (9, 0, RULE, 3, 9),
        (12, 1, RULE, 3, 12),
        (40, 1, RULE, 3, 21),
        (15, 0, '[robust]\nrule = "krum"\n', 5, 15),
        (15, 0, RULE + "hostile = 2\n", 5, 15),
    ],
)
def test_a_rule_has_as_few_groups_as_it_needs(
    clinics: int, colluders: int, rule: str, groups: int, quorum: int
) -> None:
    plan = plan_of(clinics, colluders, rule)
    assert plan.offer.groups == groups
    assert plan.round_rules(clinics).needed == quorum
    with pytest.raises(SettingsError, match=f"needs {groups} sums over groups with secure aggregation"):
        plan_of(groups * (colluders + 3) - 1, colluders, rule)


def test_five_clinics_secure_sums_and_a_rule_are_refused_with_the_reason() -> None:
    with pytest.raises(SettingsError) as refused:
        plan_of(5, colluders=1)
    assert "12 clinics, and there are 5" in refused.value.what
    assert "leave out the rule" in refused.value.remedy
    plan_of(5, colluders=1, rule="")  # the controls
    parse_plan(f'name = "a"\nclinics = ["a", "b", "c", "d", "e"]\n{RULE}', Path("plan.toml"))


def test_three_defences_at_once_are_refused() -> None:
    with pytest.raises(SettingsError, match="has the noise of its few clinics only"):
        plan_of(9, rule='dp = { epsilon = 8, delta = 1e-5, place = "clinic" }\n' + RULE)


def test_clinics_are_told_of_the_groups_and_what_they_show() -> None:
    offer = plan_of(9).offer
    keys = {f"c{number}": openssh(key_of(number)) for number in range(9)}
    offer = Offer.from_text(replace(offer, roster=keys).to_text())
    assert offer.sends == SENT_IN_GROUPS
    (_, groups, sums) = defence_words(offer)
    assert "over 3 groups of at least 3 clinics" in groups
    assert "rolled back if the balanced accuracy on all validation images falls by more than 10" in groups
    assert "secure sums over clinics" in sums
    lines = describe(stored(offer), Limits())
    assert "    and of updates over 3 groups, drawn each round, of 3 or more" in lines
    assert any("sends: what can be told from the sums of groups" in line for line in lines)
    assert Limits("limits").decide(offer)[1] is not Reason.OTHER_VERSION


def test_who_approved_a_roster_has_not_approved_groups_of_it(tmp_path: Path) -> None:
    keys = {f"c{number}": openssh(key_of(number)) for number in range(9)}
    grouped, plain = (replace(plan_of(9, rule=rule).offer, roster=keys) for rule in (RULE, ""))
    offers = Offers(tmp_path)
    offers.add(plain, 1, (Decision.WAITING, Reason.ASKS_A_PERSON))
    offers.decide(plain.hash, Decision.APPROVED)
    assert is_known_roster(offers, replace(plain, name="b"))
    assert not is_known_roster(offers, grouped)
    offers.add(grouped, 2, (Decision.WAITING, Reason.ASKS_A_PERSON))
    offers.decide(grouped.hash, Decision.APPROVED)
    assert is_known_roster(offers, replace(grouped, name="b"))
