"""The limits in ``clinic.toml``, with offers of all kinds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dermafed.client.node.clinic_settings import (
    Limits,
    default_limits,
    least_keys,
    limited_keys,
    load_settings,
)
from dermafed.client.node.settings_template import settings_text
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.agreement import Decision, Reason
from tests.client.planted_clinic import OFFER, offer

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
        ({"lesion_finder": True}, {"lesion_finder": False}, "a lesion finder"),
        ({"audit_model": True}, {"audit_model": False}, "an audit of shortcuts"),
        ({"model": METADATA}, {"metadata": False}, "clinical metadata"),
        ({}, {"max_epsilon": 8.0}, "no differential privacy, epsilon at most 8.0"),
        ({"epsilon": 0.5}, {"max_epsilon": 8.0}, "epsilon 0.5, but nothing would be noised"),
        ({"recipe": replace(OFFER.recipe, batch_size=1)}, {}, "batches of 1 images, at least 4"),
        ({}, {"min_batch_size": 17}, "batches of 16 images, at least 17"),
        ({"recipe": replace(OFFER.recipe, head_images=49)}, {}, "an exact head of 49 images, at least 50"),
        ({}, {"min_head_images": 801}, "an exact head of 50 images, at least 801"),
        ({"recipe": replace(OFFER.recipe, batch_size=512)}, {}, "batches of 512 images, at most 256"),
        ({"recipe": replace(OFFER.recipe, learning_rate=1)}, {}, "a learning rate of 1, at most 0.1"),
        ({"threads": 65}, {}, "65 threads, at most 64"),
        ({}, {"max_memory_gb": 0.8}, "0.9 GB of memory, at most 0.8"),
        ({}, {"max_message_mb": 16}, "messages of 16 MB, at most 16"),
    ],
)
def test_a_plan_beyond_one_limit_is_refused_and_named(
    changes: dict[str, object], limits: dict[str, object], fault: str
) -> None:
    plan, own = offer(**changes), more(limits)
    assert own.beyond(plan) == [fault]
    assert own.decide(plan) == (Decision.REFUSED, Reason.BEYOND_LIMITS)


@pytest.mark.parametrize("limits", [Limits(), LIMITS, more({"max_epsilon": 8.0})])
@pytest.mark.parametrize("changes", [{"epsilon": 8.0}, {"recipe": replace(OFFER.recipe, batch_size=1)}])
def test_what_protects_patients_is_refused_whatever_the_policy(
    changes: dict[str, object], limits: Limits
) -> None:
    assert limits.decide(offer(**changes)) == (Decision.REFUSED, Reason.BEYOND_LIMITS)


@pytest.mark.parametrize("limits", [Limits(), LIMITS])
def test_another_list_of_what_is_sent_belongs_to_another_version(limits: Limits) -> None:
    assert limits.decide(offer(sends=("nothing",))) == (Decision.REFUSED, Reason.OTHER_VERSION)


@pytest.mark.parametrize(
    "values", [{"rounds": 3}, {"max_rounds": "3"}, {"policy": "yes"}, {"explain": 1}, {"max_plans": -1}]
)
def test_impossible_limits_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"limit|policy"):
        Limits.from_dict(values, "clinic.toml")


WAITING = (Decision.WAITING, Reason.ASKS_A_PERSON)


def test_the_limits_are_those_that_the_keys_of_a_plan_declare() -> None:
    assert set(limited_keys()) == {
        *("max_rounds", "max_epochs", "max_steps", "max_image_size", "max_epsilon"),
        *("max_batch_size", "max_head_images", "max_learning_rate", "max_threads"),
        *("max_memory_gb", "max_minutes", "max_message_mb", "max_disk_gb"),
        *("strategies", "refits", "explain", "lesion_finder", "audit_model", "metadata"),
        *("strategies", "refits", "aggregations", "explain", "lesion_finder", "metadata"),
    }
    assert set(least_keys()) == {"min_batch_size", "min_head_images", "min_steps", "min_images"}
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


def test_an_exact_head_needs_as_many_images_as_its_plan_says() -> None:
    offer = replace(OFFER, strategy="exact-head", rounds=1, recipe=replace(OFFER.recipe, epochs=1))
    assert Limits().never(offer, 50) == []
    assert Limits().never(offer, 49) == ["an exact head of 49 images, which needs 50"]
    assert Limits().never(replace(offer, strategy="fedavg"), 49) == []


def test_the_table_of_the_alert_is_shown_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "clinic.toml"
    path.write_text(settings_text("graz", tmp_path), "utf-8")
    assert load_settings(path).decision == DecisionSettings()
    lines = path.read_text("utf-8").splitlines()
    start = lines.index("# [decision]")
    table = [line.removeprefix("# ") for line in lines[start : start + 4]]
    shown = tomllib.loads("\n".join(table))["decision"]
    assert shown == {"sensitivity": 0.95, "prevalence": 0.05, "biopsies_per_melanoma": 9}
    assert "default: that of the validation lesions" in table[2]
    path.write_text("\n".join([*lines[:start], *table, *lines[start + 4 :]]), "utf-8")
    assert load_settings(path).decision == DecisionSettings(prevalence=0.05)


def test_a_choice_of_the_alert_out_of_range_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clinic.toml"
    path.write_text(settings_text("graz", tmp_path) + "[decision]\nsensitivity = 0\n", "utf-8")
    with pytest.raises(SettingsError, match=r"sensitivity is 0.*clinic\.toml, decision\.sensitivity"):
        load_settings(path)


@pytest.mark.parametrize(
    ("recipe", "images", "faults"),
    [
        ({}, 14, []),
        ({}, 7, ["a round on 7 images, at least 8"]),
        ({}, 17, ["a round on 1 images, at least 8"]),  # the second step of an epoch has one
        ({"epochs": 1}, 17, []),
        ({"epochs": 1e-9}, 1000, []),  # a step of 16
        ({"epochs": 1e-9, "batch_size": 4}, 1000, ["a round on 4 images, at least 8"]),
        ({"steps": 1, "batch_size": 7}, 1000, ["a round on 7 images, at least 8"]),
    ],
)
def test_a_round_has_a_least_number_of_images(
    recipe: dict[str, float], images: int, faults: list[str]
) -> None:
    plan = offer(recipe=replace(OFFER.recipe, **recipe), rounds=3)  # type: ignore[arg-type]
    assert LIMITS.never(plan, images) == faults


def test_a_clinic_may_ask_for_more_steps() -> None:
    limits = more({"min_steps": 3})
    assert limits.never(OFFER, 192) == []
    assert limits.never(OFFER, 128) == ["rounds of 2 steps, at least 3"]
