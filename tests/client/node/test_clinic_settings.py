"""The limits in ``clinic.toml``, with offers made by hand."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.client.node.clinic_settings import (
    Limits,
    default_limits,
    limited_keys,
    load_settings,
    settings_text,
)
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.agreement import Decision, Reason
from tests.client.a_clinic import OFFER, offer

LIMITS = Limits("limits", {"max_rounds": 3, "max_epochs": 0.25, "max_image_size": 32})


def more(limits: Mapping[str, object]) -> Limits:
    return Limits("limits", {**LIMITS.values, **limits})


def test_by_default_a_person_is_asked() -> None:
    assert Limits().decide(OFFER) == (Decision.WAITING, Reason.ASKS_A_PERSON)


def test_a_plan_within_the_limits_is_approved() -> None:
    assert LIMITS.beyond(OFFER) == []
    assert LIMITS.decide(OFFER) == (Decision.APPROVED, Reason.NONE)


METADATA = ModelSettings(classes=("melanoma", "nevus"), image_size=32, metadata=True)


@pytest.mark.parametrize(
    ("changes", "limits", "fault"),
    [
        ({"rounds": 4}, {}, "4 rounds, at most 3"),
        ({"recipe": replace(OFFER.recipe, epochs=0.5)}, {}, "0.5 epochs a round, at most 0.25"),
        ({"recipe": replace(OFFER.recipe, steps=100)}, {}, "100 steps a round, however few images"),
        ({}, {"max_image_size": 31}, "images of 32 pixels, at most 31"),
        ({"strategy": "fedadam"}, {"strategies": ("fedavg",)}, "the strategy fedadam"),
        ({"explain": True}, {"explain": False}, "explanations"),
        ({"model": METADATA}, {"metadata": False}, "clinical metadata"),
        ({}, {"max_epsilon": 8.0}, "no differential privacy, epsilon at most 8.0"),
        ({"epsilon": 9.0}, {"max_epsilon": 8.0}, "epsilon 9.0, at most 8.0"),
    ],
)
def test_a_plan_beyond_one_limit_is_refused_and_named(
    changes: dict[str, object], limits: dict[str, object], fault: str
) -> None:
    plan, own = offer(**changes), more(limits)
    assert own.beyond(plan) == [fault]
    assert own.decide(plan) == (Decision.REFUSED, Reason.BEYOND_LIMITS)


@pytest.mark.parametrize(
    ("changes", "limits"), [({"epsilon": 8.0}, {"max_epsilon": 8.0}), ({"epsilon": 9.0}, {})]
)
def test_epsilon_counts_only_if_it_has_a_limit(changes: dict[str, object], limits: dict[str, float]) -> None:
    assert more(limits).decide(offer(**changes))[0] is Decision.APPROVED


@pytest.mark.parametrize("limits", [Limits(), LIMITS])
def test_another_list_of_what_is_sent_belongs_to_another_version(limits: Limits) -> None:
    assert limits.decide(offer(sends=("nothing",))) == (Decision.REFUSED, Reason.OTHER_VERSION)


@pytest.mark.parametrize("values", [{"rounds": 3}, {"max_rounds": "3"}, {"policy": "yes"}, {"explain": 1}])
def test_impossible_limits_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"limit|policy"):
        Limits.from_dict(values, "clinic.toml")


WAITING = (Decision.WAITING, Reason.ASKS_A_PERSON)


def test_the_limits_are_those_that_the_keys_of_a_plan_declare() -> None:
    assert set(limited_keys()) == {
        *("max_rounds", "max_epochs", "max_steps", "max_image_size", "max_epsilon"),
        *("strategies", "explain", "metadata"),
    }
    assert "max_rounds = 100" in default_limits()
    assert "# max_epsilon = 8.0" in default_limits()


def test_the_default_limits_are_what_their_text_says() -> None:
    written = Limits.from_dict(tomllib.loads(default_limits()), "clinic.toml")
    for plan in (OFFER, offer(rounds=101), offer(explain=True)):
        assert written.beyond(plan) == Limits().beyond(plan)


def test_a_limit_of_steps_may_be_raised() -> None:
    plan = offer(recipe=replace(OFFER.recipe, steps=100))
    assert more({"max_steps": 100}).beyond(plan) == []
    assert more({"max_steps": 99}).beyond(plan) == ["100 steps a round, however few images, at most 99"]


def test_an_unknown_limit_is_named_with_a_near_one() -> None:
    with pytest.raises(SettingsError, match="Perhaps 'max_rounds' is meant"):
        Limits.from_dict({"max_round": 3}, "clinic.toml")


def test_the_columns_of_the_manifest_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "clinic.toml"
    path.write_text(settings_text("graz", tmp_path), "utf-8")
    assert not load_settings(path).columns
    commented = path.read_text("utf-8")
    path.write_text(
        commented.replace('# image = "', 'image = "').replace('# label = "', 'label = "'), "utf-8"
    )
    assert load_settings(path).columns == ColumnNames("img_id", "diagnostic")
    path.write_text(f"label = 3\n{commented}", "utf-8")
    with pytest.raises(SettingsError, match="label is not a text"):
        load_settings(path)
