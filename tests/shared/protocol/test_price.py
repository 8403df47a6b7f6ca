"""Prices of plans, and plans that cost too much or cannot be."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from dermafed.client.node.clinic_settings import Limits
from dermafed.shared.errors import SettingsError
from dermafed.shared.model.model_settings import Backbone, ModelSettings
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.price import COSTS, Price, price_of
from dermafed.shared.training.recipe import Recipe
from tests.client.planted_clinic import OFFER

CLASSES = ("melanoma", "nevus")
PLAIN = Recipe()


def test_every_backbone_has_a_price() -> None:
    assert set(COSTS) == set(get_args(Backbone))
    prices = [price_of(ModelSettings(classes=CLASSES, backbone=name), PLAIN) for name in get_args(Backbone)]  # type: ignore[arg-type]
    assert all(price.memory_gb < 16 and price.minutes < 60 for price in prices)


def test_the_price_of_the_default_run_is_what_was_measured() -> None:
    price = price_of(ModelSettings(classes=CLASSES), PLAIN)
    assert price.message_mb == pytest.approx(
        16.2
    )  # docs/federation.md: 41 MB a round, both ways and evaluation
    assert price.minutes * 60 == pytest.approx(250 / 27, rel=0.2)  # 27 images a second


def with_views(views: int, frozen: int = 4, **model: Any) -> Price:
    settings = ModelSettings(classes=CLASSES, frozen_blocks=frozen, **model)
    return price_of(settings, Recipe(views=views, epochs=1))


def test_worked_example_of_views() -> None:
    """1,000 images: four views of 5,120 numbers of 2 bytes, which 0.41 of the network's work gives."""
    price, plain = with_views(4), with_views(0)
    assert plain.disk_gb == 0
    assert price.disk_gb == pytest.approx(1000 * 4 * 5120 * 2 / 1e9)
    assert price.minutes / plain.minutes == pytest.approx(0.59 + 4 * 0.41 * 2 / 6)


def test_views_of_large_features_cost_too_much_disk() -> None:
    assert with_views(64, frozen=1, image_size=512).disk_gb > 100
    changes = {"recipe__views": 64, "model__frozen_blocks": 1, "model__image_size": 128}
    beyond = Limits("limits").beyond(asked(**changes))
    assert any("8.4 GB of disk" in one and "at most 5" in one for one in beyond)


def asked(**changes: Any) -> Offer:
    values = OFFER.to_dict()
    for name, value in changes.items():
        part, _, key = name.partition("__")
        if key:
            values[part][key] = value
            if key == "image_size":
                values["preprocess"][key] = value
        else:
            values[name] = value
    return Offer.from_dict({**values, **_parts(values)})


def _parts(values: dict[str, Any]) -> dict[str, Any]:
    from dermafed.shared.protocol.plan import read_parts

    return dict(read_parts(values))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"model__backbone": "EfficientNetV2L", "model__image_size": 512}, "GB of memory"),
        ({"model__backbone": "EfficientNetV2L"}, "messages of 472 MB"),
        (
            {"model__backbone": "EfficientNetB7", "model__image_size": 512, "recipe__epochs": 5},
            "minutes a round",
        ),
        ({"recipe__steps": 100_000}, "100000 steps"),
        ({"recipe__batch_size": 4096}, "batches of 4096"),
        ({"recipe__learning_rate": 10}, "a learning rate of 10"),
        ({"threads": 1024}, "1024 threads"),
        ({"epsilon": 0.5}, "epsilon 0.5"),
    ],
)
def test_what_costs_too_much_is_beyond_the_limits(changes: dict[str, Any], fault: str) -> None:
    assert any(fault in one for one in Limits("limits").beyond(asked(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        {"rounds": 2.5},
        {"rounds": 0},
        {"threads": -1},
        {"threads": 0},
        {"seed": -1},
        {"epsilon": "0.5"},
        {"recipe__learning_rate": 1e30},
        {"recipe__learning_rate": 0},
        {"recipe__epochs": 1e9},
        {"recipe__batch_size": 0},
        {"recipe__batch_size": 10**9},
        {"recipe__weight_decay": 1e30},
        {"recipe__focus": 1e30},
        {"recipe__steps": 10**9},
        {"recipe__views": 65},
        {"model__image_size": 10**6},
        {"model__classes": [f"c{number}" for number in range(100_000)]},
        {"model__classes": ["x" * 10_000, "y"]},
        {"model__classes": ["", "y"]},
    ],
)
def test_what_is_out_of_range_is_no_offer(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        asked(**changes)
