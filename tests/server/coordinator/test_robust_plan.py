"""The section ``robust`` of a plan: part of what clinics approve, and refused where it could not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.client.commands.plans import describe
from dermafed.client.node.clinic_settings import Limits
from dermafed.client.node.offers import _new as stored
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.coordinator.run_plan import RunPlan
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.offer import Offer
from dermafed.simulation.runs.from_plan import plan_values
from dermafed.simulation.runs.run_settings import RunSettings

FIVE = 'clinics = ["a", "b", "c", "d", "e"]\n'


def plan_of(text: str) -> RunPlan:
    return parse_plan(f'name = "spring"\n{text}', Path("plan.toml"))


def test_a_rule_is_part_of_the_offer_and_a_plan_without_one_has_the_same_hash_as_before() -> None:
    plain, robust = plan_of(FIVE).offer, plan_of(FIVE + '[robust]\nrule = "median"').offer
    assert "robust" not in plain.to_text()
    assert plan_of(FIVE + '[robust]\nrule = "none"').offer.hash == plain.hash
    assert robust.hash != plain.hash
    assert Offer.from_text(robust.to_text()) == robust
    assert robust.to_dict()["robust"] == {"rule": "median"}
    assert any("hostile clinics: median, bears 1" in line for line in describe(stored(robust), Limits()))
    assert robust.refit == "none"
    assert plain.refit == "logistic"


def test_a_simulation_takes_the_rule_of_a_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(f'name = "spring"\n{FIVE}[robust]\nrule = "krum"\n[rules]\nquorum = 5')
    settings = RunSettings(data="images", **plan_values(path))
    assert settings.robust() == plan_of('[robust]\nrule = "krum"\n[rules]\nquorum = 5').offer.robust
    assert settings.to_dict()["rule"] == "krum"
    assert not {"rule", "hostile", "attack"} & RunSettings().to_dict().keys()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('clinics = ["a", "b"]\n[robust]\nrule = "median"', "needs 3 clinics, and a round may have 1"),
        (f'{FIVE}[robust]\nrule = "trimmed-mean"\nhostile = 2', "needs 5 clinics, and a round may have 3"),
        (f'{FIVE}[robust]\nrule = "krum"', "needs 5 clinics, and a round may have 3"),
        (f'{FIVE}strategy = "exact-head"\nrounds = 1\n[robust]\nrule = "median"', "a sum has no median"),
        (f'{FIVE}refit = "ridge"\n[robust]\nrule = "median"', 'refit = "ridge" does not go with'),
        (
            f'{FIVE}[training]\nmask_absent = true\n[robust]\nrule = "median"',
            "mask_absent = true does not",
        ),
        (f'{FIVE}[robust]\nrule = "best"', "Use one of none, norm-bound, median"),
        (f'{FIVE}[robust]\nrule = "median"\nhostile = 0', "hostile is 0"),
    ],
)
def test_what_cannot_hold_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(SettingsError) as refused:
        plan_of(text)
    assert why in str(refused.value)


def test_enough_clinics_are_enough() -> None:
    plan_of(f'{FIVE}[robust]\nrule = "median"')
    plan_of(f'{FIVE}[robust]\nrule = "krum"\n[rules]\nquorum = 5')


def test_an_attack_is_a_kind_and_a_clinic() -> None:
    attack = RunSettings(attack="labels:graz").attack_among(["graz"])
    assert attack is not None
    assert (attack.kind, attack.clinic) == ("labels", "graz")
    for text in ("labels", "labels:", "lies:graz"):
        with pytest.raises(SettingsError, match="is not an attack"):
            RunSettings(attack=text)
    with pytest.raises(SettingsError, match="no clinic 'graz'"):
        RunSettings(attack="labels:graz").attack_among(["linz"])
