"""Plan files: what is understood, and what is refused by the name of its key."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from dermafed.server.coordinator.plan_file import documented_plan, parse_plan, read_plan
from dermafed.server.coordinator.run_plan import SECTIONS, RunPlan, format_duration, parse_duration
from dermafed.server.rounds.checkpoint import RunState
from dermafed.server.rounds.history import HistoryRow
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.rounds import is_over
from dermafed.shared.errors import InputError, SettingsError
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.settings import Settings
from dermafed.simulation.runs.run_settings import RunSettings
from tests.paths import ROOT

NAME = 'name = "spring"\n'


def plan_of(text: str) -> RunPlan:
    return parse_plan(text, Path("there/plan.toml"))


@pytest.mark.parametrize("weights", ["imagenet", "none", "lite0"])
def test_the_defaults_are_those_of_the_simulation_on_real_images(weights: str) -> None:
    plan = plan_of(f'{NAME}weights = "{weights}"')
    simulated = RunSettings(data="images", weights=weights)
    expected = simulated.plan(plan.offer.model.classes, (1, 2, 3), threads=2)
    assert plan.offer.plan((1, 2, 3), threads=2) == expected
    assert plan.offer.model.classes == ("melanoma", "nevus", "seborrheic_keratosis")
    assert (plan.offer.strategy, plan.offer.split) == (simulated.strategy, simulated.split)


def test_every_key_reaches_its_place() -> None:
    plan = plan_of(
        NAME
        + """
        clinics = ["graz", "linz"]
        rounds = 5
        strategy = "fedadam"
        weights = "start.h5"
        seed = 7
        split = "given"
        explain = true
        threads = 3
        [labels]
        MM = "melanoma"
        [model]
        classes = ["melanoma", "nevus"]
        image_size = 64
        frozen_blocks = 2
        [preprocess]
        denoise = "none"
        sigma = 2
        [training]
        epochs = 2
        steps = 100
        optimizer = "sgd"
        momentum = 0
        schedule = "constant"
        balance = "global"
        focus = 2
        tones = true
        group_balance = "site"
        [rules]
        quorum = 2
        deadline = "90s"
        approval = "7d"
        wait = "1.5h"
        attempts = 1
        patience = 4
        """
    )
    offer = plan.offer
    assert (plan.clinics, offer.rounds, offer.strategy, offer.seed) == (("graz", "linz"), 5, "fedadam", 7)
    assert (offer.split, offer.explain, offer.threads, offer.labels) == ("given", True, 3, {"MM": "melanoma"})
    assert (offer.model.classes, offer.model.image_size) == (("melanoma", "nevus"), 64)
    assert (offer.model.frozen_blocks, offer.preprocess.sigma, offer.recipe.epochs) == (2, 2, 2)
    assert (offer.preprocess.image_size, offer.preprocess.clahe_grid) == (64, 8)
    assert Path(plan.weights) == Path("there/start.h5").resolve()
    recipe = offer.recipe
    assert (recipe.steps, recipe.momentum, recipe.schedule) == (100, 0, "constant")
    assert (recipe.balance, recipe.focus) == ("global", 2)
    assert (recipe.tones, recipe.group_balance) == (True, "site")
    rules = plan.round_rules(2)
    assert (rules.needed, rules.deadline, rules.connect_seconds) == (2, 90, 5400)
    assert (plan.approval_seconds, rules.attempts, rules.patience) == (7 * 86_400, 1, 4)
    assert Offer.from_text(offer.to_text()) == offer


def test_a_plan_from_pretrained_weights_has_the_recipe_for_them() -> None:
    offer = plan_of('name = "p"').offer
    assert (offer.rounds, offer.refit, offer.recipe.views, offer.recipe.learning_rate) == (
        16,
        "logistic",
        4,
        1e-3,
    )
    assert (offer.model.image_size, offer.model.features, offer.model.views_at_test) == (192, "blocks", 2)
    assert offer.preprocess.image_size == 192
    older = plan_of('name = "p"\nweights = "none"').offer
    assert (older.rounds, older.refit, older.recipe.views) == (32, "none", 0)
    assert (older.model.image_size, older.model.features, older.model.views_at_test) == (128, "pooled", 1)


@pytest.mark.parametrize(
    ("lines", "refit", "views"),
    [
        ("calibrate = false", "none", 4),
        ('strategy = "exact-head"\nrounds = 1', "none", 4),
        ("[model]\nfrozen_blocks = 0", "logistic", 0),
        ("[training]\naugment = false", "logistic", 0),
        ('refit = "ridge"\n[training]\nviews = 2', "ridge", 2),
    ],
)
def test_a_default_that_another_key_excludes_is_left_out(lines: str, refit: str, views: int) -> None:
    offer = plan_of(f'name = "p"\n{lines}').offer
    assert (offer.refit, offer.recipe.views) == (refit, views)


BAD = [
    ("", "name", "no name"),
    ("name = 3", "name", "not a text"),
    ('name = "a/b"', "run", "not a valid name for a run"),
    (NAME + "round = 3", "round", "'rounds' is meant"),
    (NAME + "[trainng]\nepochs = 1", "trainng", "'training' is meant"),
    (NAME + "[training]\nlearningrate = 1", "training.learningrate", "'learning_rate' is meant"),
    (NAME + "epochs = 1", "epochs", "Write it under [training]"),
    (NAME + "[model]\nrounds = 1", "model.rounds", "Write it under no section"),
    (NAME + "[rules]\nxyz = 1", "rules.xyz", "The keys there are quorum, deadline"),
    (NAME + "training = 3", "training", "not a section"),
    (NAME + "rounds = 0", "rounds", "Give a whole number from 1 to 9999"),
    (NAME + "rounds = 1.5", "rounds", "not a whole number"),
    (NAME + "rounds = true", "rounds", "not a whole number"),
    (NAME + 'weights = "none"\n[training]\nviews = 4', "views", "no block is frozen"),
    (NAME + "seed = -1", "seed", "Give a whole number from 0"),
    (NAME + 'strategy = "best"', "strategy", "There is no strategy 'best'"),
    (NAME + 'split = "odd"', "split", "no split"),
    (NAME + 'clinics = "graz"', "clinics", "not a list of texts"),
    (NAME + "clinics = []", "clinics", "none"),
    (NAME + 'clinics = ["a", "a"]', "clinics", "twice"),
    (NAME + "[model]\nimage_size = 8", "model.image_size", "image_size is 8"),
    (NAME + "[model]\nclasses = 'all'", "model.classes", "no classes"),
    (NAME + "[model]\nclasses = ['a', 'a']", "model.classes", "twice"),
    (NAME + "[model]\nclasses = [['a'], ['b']]", "model.classes", "not a list of texts"),
    (NAME + "[model]\nclasses = [['a'], 3]", "model.classes", "not a list of texts"),
    (NAME + "[model]\nclasses = ['a']", "classes", "two classes"),
    (NAME + "[model]\nbackbone = 'ResNet'", "backbone", "no backbone"),
    (
        NAME + "[model]\nbackbone = 'efficientnetv2-b0'",
        "model.backbone",
        "The nearest are EfficientNetV2B0, ",
    ),
    (NAME + "[training]\nlearning_rate = nan", "training.learning_rate", "above 0"),
    (NAME + "[training]\nlearning_rate = 'fast'", "training.learning_rate", "not a number"),
    (NAME + "[preprocess]\ndenoise = 'magic'", "preprocess.denoise", "magic"),
    (NAME + "[labels]\nMM = 3", "labels.MM", "not a text"),
    (NAME + "[rules]\nquorum = 0", "rules.quorum", "quorum is 0"),
    (NAME + "[rules]\nquorum = 1.5", "quorum", "quorum is 1.5"),
    (NAME + 'clinics = ["a"]\n[rules]\nquorum = 2', "quorum", "quorum is 2"),
    (NAME + "[rules]\ndeadline = '30'", "rules.deadline", "not a duration"),
    (NAME + "[rules]\ndeadline = 30", "rules.deadline", "not a text"),
    (NAME + "[rules]\napproval = '0m'", "rules.approval", "not a duration"),
    (NAME + "[rules]\npatience = 0", "rules.patience", "patience is 0"),
    (NAME + "rounds = \nseed = 1", "plan.toml", "line 2"),
]


@pytest.mark.parametrize(("text", "where", "message"), BAD)
def test_a_bad_plan_is_refused_by_the_name_of_its_key(text: str, where: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        plan_of(text)
    assert caught.value.where.endswith(where)
    assert message in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('weights = "none.h5"', "no weights file"),
        (f'weights = "{"a" * 5000}"', "no weights file"),
        ('weights = "a\\u0000b"', "no weights file"),
        ('weights = "lite0"\n[model]\nbackbone = "EfficientNetB1"', "do not fit EfficientNetB1"),
        ('weights = "none"\n[model]\nbatch_norm = "frozen"', "cannot stay frozen"),
    ],
)
def test_unavailable_first_weights_are_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(NAME + text)
    with pytest.raises(SettingsError, match=message):
        read_plan(tmp_path / "plan.toml")


def test_a_file_that_is_missing_or_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_plan(tmp_path / "plan.toml")
    with pytest.raises(InputError, match="No such file"):
        read_plan(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("45s", 45, "45s"),
        ("30m", 1800, "30m"),
        ("24h", 86_400, "1d"),
        ("1.5h", 5400, "90m"),
        (" 2 d ", 172_800, "2d"),
    ],
)
def test_durations(text: str, seconds: float, shown: str) -> None:
    assert parse_duration(text, "deadline") == seconds
    assert format_duration(seconds) == shown


@pytest.mark.parametrize("text", ["", "m", "-1m", "1", "1 year", "1e3s", "nan s", "0s", "9999999s", "٣m"])
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"not a duration \(deadline\)"):
        parse_duration(text, "deadline")


def test_patience_ends_a_run_after_rounds_without_a_better_model() -> None:
    def after(*scores: float) -> RunState:
        rows = [HistoryRow(i, 1, 1, 1, score, math.nan, 2, "", 1, 0) for i, score in enumerate(scores, 1)]
        return RunState(len(rows), np.zeros(1, np.float32), {}, tuple(rows), {})

    rules = RoundRules(rounds=6, clinics=2, patience=2)
    assert not is_over(after(), rules)
    assert not is_over(after(0.5, 0.4), rules)
    assert is_over(after(0.5, 0.4, 0.5), rules)  # as good is not better
    assert not is_over(after(0.5, 0.4, 0.6), rules)
    endless = RoundRules(rounds=6, clinics=2)
    assert not is_over(after(0.5, 0.4, 0.3, 0.2, 0.1), endless)
    assert is_over(after(0.5, 0.4, 0.3, 0.2, 0.1, 0.9), endless)


def test_the_documented_plan_is_current_and_has_every_key_with_its_default() -> None:
    example = documented_plan()
    assert plan_of(example) == plan_of('name = "spring-2027"')
    for section, keys in SECTIONS.items():
        for key, info in keys.items():
            line = rf"\[{section}.{key}\]" if issubclass(info.kind, Settings) else f"{key} = "
            assert re.search(rf"^(# )?{line}", example, re.MULTILINE), f"{section}.{key}"
    assert f"```toml\n{example}```" in (ROOT / "docs" / "federation.md").read_text("utf-8"), (
        "docs/federation.md is old: python -m dermafed.server.coordinator.plan_file prints the block to paste"
    )
