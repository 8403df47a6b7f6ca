"""The defences of a plan together: one table of privacy, and the same words about it everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.client.commands.plans import describe
from dermafed.client.node.clinic_settings import Limits
from dermafed.client.node.offers import _new as stored
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.coordinator.run_plan import RunPlan
from dermafed.server.dashboard.plan_words import plan_words
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.defence_words import defence_words
from dermafed.shared.protocol.offer import Offer
from dermafed.simulation.runs.run_settings import RunSettings

SECURE = '[privacy]\naggregation = "secure"\ncolluders = 2\n'
PRIVATE = "[privacy.dp]\nepsilon = 8\ndelta = 1e-5\n"
ROBUST = '[robust]\nrule = "median"\nhostile = 2\n'


def plan_of(*sections: str) -> RunPlan:
    clinics = ", ".join(f'"{name}"' for name in "abcdefghi")
    return parse_plan(f'name = "a"\nclinics = [{clinics}]\n{"".join(sections)}', Path("plan.toml"))


@pytest.mark.parametrize(
    ("sections", "words", "asked"),
    [
        ([], [], ["differential privacy: none", "against hostile clinics: screening", "aggregation: plain"]),
        ([SECURE], ["secure sums over clinics"], ["aggregation secure, colluders 2"]),
        ([PRIVATE], ["epsilon 8 at delta 1e-05"], ["dp {'epsilon': 8, 'delta': 1e-05"]),
        (
            [SECURE, PRIVATE, 'place = "sum"\n'],
            ["secure sums over clinics", "each clinic adds a part of the noise"],
            ["aggregation secure, colluders 2", "which the clinics of a secure sum add in parts"],
        ),
        ([ROBUST, PRIVATE], ["median bears hostile", "epsilon 8"], ["median, bears 2", "epsilon 8 at delta"]),
    ],
)
def test_everybody_is_told_what_defends(sections: list[str], words: list[str], asked: list[str]) -> None:
    plan = plan_of(*sections)
    said = defence_words(Offer.from_text(plan.offer.to_text()))
    assert len(said) == len(words)
    assert all(word in sentence for word, sentence in zip(words, said, strict=True))
    assert set(said) <= set(plan_words(plan, 9))  # the dashboard's
    lines = "\n".join(describe(stored(plan.offer), Limits()))  # those of ``fl-client plans``
    assert all(line in lines for line in asked), lines


@pytest.mark.parametrize(
    ("sections", "why"),
    [
        ([SECURE, ROBUST], "needs 5 sums over groups with secure aggregation, .* there are 9"),
        ([SECURE, PRIVATE], "sums would protect no patient further"),
    ],
)
def test_defences_that_contradict_each_other_are_refused(sections: list[str], why: str) -> None:
    for section in sections:
        plan_of(section)  # the control
    with pytest.raises(SettingsError, match=why):
        plan_of(*sections)


def test_what_bears_nothing_is_not_promised() -> None:
    with pytest.raises(SettingsError, match="the mean bears no hostile clinic"):
        plan_of("[robust]\nhostile = 3\n")
    assert plan_of(ROBUST).offer.robust.hostile == 2  # the control


def test_few_bits_go_with_sums_and_with_a_rule_but_not_with_sums_of_groups_or_noise() -> None:
    bits, rule = "[compression]\nbits = 8\n", '[robust]\nrule = "median"\n'
    sums = '[privacy]\naggregation = "secure"\ncolluders = 0\n'
    for sections in ([sums], [rule]):
        assert any("8 bits each" in sentence for sentence in plan_words(plan_of(*sections, bits), 9))
    for sections in ([sums, rule], [PRIVATE]):
        plan_of(*sections)  # the control
    with pytest.raises(SettingsError, match="bits = 8 does not go with secure aggregation and a robust rule"):
        plan_of(sums, rule, bits)
    with pytest.raises(SettingsError, match=r"bits = 8 does not go with privacy\.dp"):
        plan_of(PRIVATE, bits)


def test_a_simulation_refuses_the_same() -> None:
    dp, own = {"epsilon": 8, "delta": 1e-5}, {"baselines": False}
    assert RunSettings(**own, dp=dp, rule="median").to_dict()["dp"]["epsilon"] == 8
    assert (
        RunSettings(**own, rule="median", aggregation="secure").robust().active
    )  # clinics are counted later
    with pytest.raises(SettingsError, match="does not go with secure aggregation"):
        RunSettings(**own, dp=dp, aggregation="secure")
    with pytest.raises(SettingsError, match="trains with noise"):
        RunSettings(**own, dp=dp, attack="labels:graz")
    with pytest.raises(SettingsError, match="one step, which follows from a sum over all of them"):
        RunSettings(**own, rule="median", aggregation="secure", bits=8)


def test_guidance_is_told_to_everybody_and_goes_with_all_but_clipped_gradients() -> None:
    guided = "[training]\nguidance = 0.1\n"
    plan = plan_of(guided, SECURE)
    assert "evidence outside of lesion masks counts 0.1 times" in " ".join(plan_words(plan, 9))
    assert "lesion masks: these stay here" in "\n".join(describe(stored(plan.offer), Limits()))
    with pytest.raises(SettingsError, match=r"guidance = 0\.1 does not go with privacy\.dp"):
        plan_of(guided, PRIVATE)
