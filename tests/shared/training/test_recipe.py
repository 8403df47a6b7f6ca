from __future__ import annotations

import json
import math
from typing import Any

import pytest

from dermafed.shared.errors import SettingsError
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.plan import Plan
from dermafed.shared.training.recipe import Recipe


def test_worked_example_of_the_learning_rate() -> None:
    recipe = Recipe(learning_rate=1.0, warmup=0.1)
    expected = {0.0: 0, 0.05: 0.5, 0.1: 1, 0.325: 0.853553, 0.55: 0.5, 0.775: 0.146447, 1.0: 0}
    for progress, rate in expected.items():
        assert recipe.learning_rate_at(progress) == pytest.approx(rate, abs=1e-6)
    assert Recipe(learning_rate=0.3, warmup=0).learning_rate_at(0) == pytest.approx(0.3)


def test_a_constant_rate_is_the_peak_from_the_first_step_to_the_last() -> None:
    recipe = Recipe(learning_rate=0.01, schedule="constant")
    assert {recipe.learning_rate_at(progress) for progress in (0.0, 0.05, 0.5, 1.0)} == {0.01}


def test_the_work_of_a_round_is_described() -> None:
    assert (Recipe(epochs=0.25).work, Recipe(steps=100).work) == ("0.25 epochs", "100 steps")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", -1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("weight_decay", -0.1),
        ("warmup", 1.0),
        ("label_smoothing", -0.1),
        ("optimizer", "adam"),
        ("balance", "classes"),
        ("learning_rate", "fast"),
        ("momentum", 1.0),
        ("schedule", "linear"),
        ("steps", 0),
        ("focus", 0.5),
        ("focus", -1.0),
        ("nesterov", True),
        ("group_balance", "tone"),
        ("artefacts", 1.5),
        ("views", -1),
        ("views", 65),
        ("views", 2.5),
    ],
)
def test_an_impossible_recipe_is_refused(field: str, value: object) -> None:
    with pytest.raises(SettingsError):
        Recipe.from_dict({field: value})


def test_skin_tones_without_augmentation_are_refused() -> None:
    assert Recipe(tones=True).tones
    with pytest.raises(SettingsError, match="part of 'augment'"):
        Recipe(tones=True, augment=False)


def test_artefacts_without_augmentation_are_refused() -> None:
    assert "artefacts" not in Recipe().to_dict()  # so that the hash of older plans stays
    assert Recipe(artefacts=0.5).to_dict()["artefacts"] == 0.5
    with pytest.raises(SettingsError, match="part of 'augment'"):
        Recipe(artefacts=0.5, augment=False)


def test_guidance_needs_a_last_layer_that_reads_places() -> None:
    assert "guidance" not in Recipe().to_dict()  # so that the hash of older plans stays
    plan(recipe=Recipe(guidance=0.1), model=ModelSettings(("a", "b"), image_size=64, features="blocks"))
    with pytest.raises(SettingsError, match="statistics of blocks") as caught:
        plan(recipe=Recipe(guidance=0.1))
    assert caught.value.where == "guidance"


def test_views_without_augmentation_or_frozen_blocks_are_refused() -> None:
    with pytest.raises(SettingsError, match="views of 'augment'"):
        Recipe(views=2, augment=False)
    with pytest.raises(SettingsError, match="no block is frozen") as caught:
        plan(recipe=Recipe(views=2))
    assert caught.value.where == "views"
    plan(recipe=Recipe(views=2), model=ModelSettings(("a", "b"), image_size=64, frozen_blocks=4))


def test_a_recipe_without_views_is_written_as_before_there_were_any() -> None:
    """The hash of a plan is that of its text, and a resumed run compares what was written."""
    assert "views" not in Recipe().to_dict()
    assert Recipe(views=3).to_dict()["views"] == 3
    assert Recipe.from_dict(Recipe(views=3).to_dict()) == Recipe(views=3)


def plan(**changes: Any) -> Plan:
    fields = {
        "model": ModelSettings(("a", "b"), image_size=64),
        "preprocess": PreprocessSettings(image_size=64),
        "recipe": Recipe(optimizer="sgd", epochs=3),
        "rounds": 5,
        "class_counts": (7, 3),
    }
    return Plan(**{**fields, **changes})


def test_a_plan_survives_json() -> None:
    assert Plan.from_dict(json.loads(json.dumps(plan().to_dict()))) == plan()


def test_an_impossible_plan_is_refused() -> None:
    with pytest.raises(SettingsError, match="rounds"):
        plan(rounds=0)
    with pytest.raises(SettingsError, match="image size"):
        plan(preprocess=PreprocessSettings(image_size=96))
    for name in ("model", "rounds"):
        with pytest.raises(SettingsError):
            Plan.from_dict({key: value for key, value in plan().to_dict().items() if key != name})
    with pytest.raises(SettingsError):
        Plan.from_dict({**plan().to_dict(), "speed": 1})
