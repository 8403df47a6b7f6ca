"""Plans with secure sums: what they fill in, and each contradiction with its reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.client.node.clinic_settings import Limits
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.sent import SENT, SENT_IN_SUMS
from dermafed.simulation.runs.from_plan import plan_values
from dermafed.simulation.runs.run_settings import RunSettings
from tests.server.summing_clinics import key_of
from tests.shared.secure_sum.federation import openssh

PLACE = Path("plan.toml")
SECURE = '[privacy]\naggregation = "secure"\n'
CLASHES = {
    "strategy": ('strategy = "exact-head"\nrounds = 1', "", "compares each clinic's sums"),
    "refit": ('refit = "ridge"\ncalibrate = true', "", "compares each clinic's sums"),
    "calibrate": ("calibrate = true", "", "asks each clinic for its own sums"),
    "own_layer": ("own_layer = true\ncalibrate = true", "", "asks each clinic for its own sums"),
    "explain": ("explain = true", "", "its own figures"),
    "lesion_finder": ("lesion_finder = true", "", "compares each clinic's sums"),
    "audit_model": ("audit_model = true", "", "its own counts of answers"),
    "features": (
        'lesion_finder = true\nrefit = "logistic"\ncalibrate = true',
        '[model]\nfeatures = "lesion"',
        "needs a lesion finder",
    ),
    "rule": ('clinics = ["a", "b", "c", "d", "e"]', '[robust]\nrule = "median"', "there are 5"),
    "mask_absent": ("", "[training]\nmask_absent = true", "which clinic has which class"),
    "balance": ("", '[training]\nbalance = "global"', "by a count that no clinic can check"),
    "attempts": ("", "[rules]\nattempts = 4", "more often than the 3 times"),
    "largest_share": ("", "[rules]\nlargest_share = 0.5", "the weight of single clinics"),
    "largest_step": ("", "[rules]\nlargest_step = 9.0", "the steps of single clinics"),
}


@pytest.mark.parametrize("key", CLASHES)
def test_what_needs_or_shows_a_single_clinics_values_is_refused(key: str) -> None:
    top, section, why = CLASHES[key]
    text = f'name = "a"\nweights = "none"\n{top}\n{section}\n'
    parse_plan(text, PLACE)  # the control
    with pytest.raises(SettingsError, match=why) as caught:
        parse_plan(text + SECURE, PLACE)
    assert "secure aggregation" in str(caught.value)


def test_a_secure_plan_is_silent_about_what_would_clash_and_says_what_it_sends() -> None:
    for weights in ("none", "imagenet"):
        plan = parse_plan(f'name = "a"\nweights = "{weights}"\n{SECURE}', PLACE)
        offer = plan.offer
        assert (offer.calibrate, offer.refit, offer.own_layer) == (False, "none", False)
        assert offer.sends == SENT_IN_SUMS
        rules = plan.round_rules(20)
        assert (rules.needed, rules.largest_share, rules.largest_step) == (11, 1.0, None)
    asked = parse_plan(f'name = "a"\n{SECURE}[rules]\nquorum = 15', PLACE)
    assert asked.round_rules(20).needed == 15


def test_a_plan_without_the_key_has_the_text_that_it_had() -> None:
    text = parse_plan('name = "a"\nweights = "none"\n[privacy]\naggregation = "plain"', PLACE).offer.to_text()
    assert text == parse_plan('name = "a"\nweights = "none"', PLACE).offer.to_text()
    assert not {"privacy", "roster"} & Offer.from_text(text).to_dict().keys()
    assert Offer.from_text(text).sends == SENT
    with pytest.raises(SettingsError, match="colluders is for secure aggregation"):
        parse_plan('name = "a"\n[privacy]\ncolluders = 2', PLACE)


def test_a_clinic_may_want_secure_sums_of_every_plan_that_its_limits_approve() -> None:
    limits = Limits("limits", {"aggregations": ["secure"]})
    plain, secure = (parse_plan(f'name = "a"\n{keys}', PLACE).offer for keys in ("", SECURE))
    assert "the aggregation plain" in limits.beyond(plain)
    assert not [fault for fault in limits.beyond(secure) if "aggregation" in fault]
    assert not [fault for fault in Limits("limits").beyond(plain) if "aggregation" in fault]


@pytest.mark.parametrize(
    ("roster", "why"),
    [
        ({"graz": 0, "linz": 1, "wels": 2}, "fewer than 3 honest contributors"),
        ({"graz": 0, "linz": 1, "wels": 1, "vienna": 3}, "the same key"),
        ({"graz": 0, "linz": 1, "wels": -1, "vienna": 3}, "not an EC P-384 public key"),
    ],
)
def test_no_offer_has_an_impossible_roster(roster: dict[str, int], why: str) -> None:
    offer = parse_plan(f'name = "a"\n{SECURE}', PLACE).offer
    keys = {name: openssh(key_of(key)) if key >= 0 else "ecdsa" for name, key in roster.items()}
    with pytest.raises(SettingsError, match=why):
        Offer.from_dict(
            {**{name: getattr(offer, name) for name in ("model", "preprocess", "recipe", "privacy")}}
            | {"name": "a", "calibrate": False, "roster": keys}
        )


def test_a_simulation_takes_the_key_and_refuses_what_clashes(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(f'name = "a"\nweights = "none"\n{SECURE}colluders = 2')
    settings = RunSettings(**plan_values(path))
    assert (settings.privacy().is_secure, settings.privacy().colluders) == (True, 2)
    assert RunSettings().to_dict().keys() == RunSettings(aggregation="plain").to_dict().keys()
    for clash in ({"engine": "ray"}, {"refit": "ridge"}, {"mask_absent": True}):
        with pytest.raises(SettingsError, match="does not go with secure aggregation"):
            RunSettings(aggregation="secure", **clash)
