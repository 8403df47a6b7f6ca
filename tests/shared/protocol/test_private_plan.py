"""Differential privacy in a plan: short to ask for, refused where it contradicts itself, absent elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.server.coordinator.plan_file import parse_plan, read_plan
from dermafed.server.coordinator.run_plan import RunPlan
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.private_plan import noise_of
from dermafed.shared.protocol.sent import PRIVATE_SENT, PRIVATE_SENT_IN_SUMS, SENT
from dermafed.simulation.runs.from_plan import plan_values
from dermafed.simulation.runs.run_settings import RunSettings

IN_SUMS = 'privacy = { aggregation = "secure", dp = { epsilon = 8, delta = 1e-5, place = "sum" } }'
ASKED = 'privacy = { dp = { epsilon = 8, delta = 1e-5, place = "clinic", layers = "head" } }'


def plan(*lines: str) -> RunPlan:
    return parse_plan("\n".join(['name = "spring"', *lines]), Path("plan.toml"))


def test_one_line_is_enough_and_the_rest_follows(tmp_path: Path) -> None:
    offer = plan(ASKED).offer
    assert offer.dp is not None
    assert offer.model.batch_norm == "frozen"
    assert (offer.calibrate, offer.refit, offer.own_layer, offer.recipe.views) == (False, "none", False, 0)
    assert offer.sends == PRIVATE_SENT
    assert Offer.from_text(offer.to_text()) == offer
    assert Offer.from_text(offer.to_text()).plan([1, 1, 1], 1).dp == offer.dp
    same = plan("[privacy.dp]", "epsilon = 8", "delta = 1e-5").offer
    assert same.privacy == offer.privacy
    file = tmp_path / "plan.toml"
    file.write_text(f'name = "spring"\n{ASKED}')
    values = plan_values(file)
    assert RunSettings(**values).plan(("a", "b"), (1, 1), 1).dp == offer.dp
    file.write_text(f'name = "spring"\nweights = "none"\n{ASKED}')
    with pytest.raises(SettingsError, match="cannot stay frozen with the weights none"):
        read_plan(file)


def test_steps_follow_from_rate_and_passes() -> None:
    offer = plan("rounds = 4", "[privacy.dp]", "epsilon = 8", "delta = 1e-5", "rate = 0.2").offer
    assert offer.dp is not None
    # A quarter of a pass is 1.25 of its five steps: in four rounds, five.
    assert noise_of(offer.dp, offer.recipe, offer.rounds).training.times == 5


@pytest.mark.parametrize("nothing", ["", "privacy = {}"])
def test_without_it_a_plan_is_what_it_was(nothing: str) -> None:
    offer = plan(nothing).offer
    assert offer.dp is None
    assert "privacy" not in offer.to_text()
    assert offer.sends == SENT
    assert offer.hash == plan().offer.hash


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([ASKED.replace('"clinic"', '"sum"')], 'place = "sum" needs secure aggregation'),
        ([IN_SUMS, "[training]", 'optimizer = "adamw"'], "a step is the server's"),
        ([IN_SUMS, "[training]", "momentum = 0.9"], "with the strategy fedavgm it has momentum"),
        ([IN_SUMS, "[robust]", 'rule = "median"'], "the noise of its few clinics"),
        ([ASKED.replace('"head"', '"head+film"')], "There is no layers 'head\\+film'"),
        ([ASKED.replace("epsilon = 8", "epsilon = 0")], "epsilon is 0"),
        ([ASKED.replace("delta = 1e-5", "delta = 1")], "delta is 1"),
        (["privacy = { dp = { epsilon = 8 } }"], "The key 'delta' is missing"),
        (["privacy = { pd = {} }"], "There is no key 'pd'"),
        (["privacy = 8"], "'privacy' is not a section"),
        ([ASKED, "[model]", 'batch_norm = "fixed"'], "statistics of batch normalisation"),
        ([ASKED, 'strategy = "exact-head"', "rounds = 1"], "its sums have no noise"),
        ([ASKED, 'strategy = "fedprox"'], "has no such term"),
        ([ASKED, "calibrate = true"], "leave without noise"),
        ([ASKED, 'refit = "ridge"'], "leave without noise"),
        ([ASKED, "explain = true"], "leave without noise"),
        ([ASKED, "lesion_finder = true"], "leave without noise"),
        ([ASKED, "audit_model = true"], "test images, which are patients' too"),
        ([ASKED, "lesion_finder = true", "[model]", 'features = "lesion"'], "needs a lesion finder"),
        ([ASKED.replace("{ dp", '{ aggregation = "secure", dp')], "sums would protect no patient further"),
        ([ASKED, 'split = "even"'], "adds images of every class"),
        ([ASKED, "[training]", "artefacts = 0.5"], "as they are"),
        ([ASKED, "own_layer = true"], "shared with the others"),
        ([ASKED, "[training]", "mask_absent = true"], "which classes a clinic lacks"),
        ([ASKED, "[training]", 'group_balance = "age"'], "depends on other patients"),
        ([ASKED, "[training]", "focus = 2"], "that of the cross-entropy"),
        ([ASKED, "[training]", "views = 2"], "as they are"),
    ],
)
def test_what_contradicts_it_is_refused_with_the_reason(lines: list[str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        plan(*lines)


def test_within_sums_a_round_is_a_step_of_the_server() -> None:
    offer = plan(IN_SUMS, "rounds = 100", 'strategy = "fedavgm"').offer
    assert offer.dp is not None
    recipe = offer.recipe
    assert (recipe.optimizer, recipe.momentum, recipe.learning_rate) == ("sgd", 0, 2)
    assert noise_of(offer.dp, recipe, offer.rounds).training.times == 100
    assert offer.sends == PRIVATE_SENT_IN_SUMS


def test_a_robust_rule_goes_with_it() -> None:
    offer = plan(ASKED, "[robust]", 'rule = "median"', "[rules]", "quorum = 3").offer
    assert (offer.robust.rule, offer.dp is not None) == ("median", True)
    assert Offer.from_text(offer.to_text()) == offer
