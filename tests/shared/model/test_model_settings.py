"""The names of backbones."""

from __future__ import annotations

from typing import get_args

import pytest

from dermafed.shared.errors import SettingsError
from dermafed.shared.model.model_settings import Backbone, ModelSettings
from dermafed.simulation.runs.run_settings import RunSettings

CLASSES = ["melanoma", "nevus"]


@pytest.mark.parametrize("name", get_args(Backbone))
def test_a_backbone_is_known_in_any_case(name: str) -> None:
    for written in (name.lower(), name.upper(), name):
        assert ModelSettings.read({"classes": CLASSES, "backbone": written}).backbone == name
        assert RunSettings.read({"backbone": written}) == RunSettings.read({"backbone": name})


@pytest.mark.parametrize("name", ["efficientnetv2b9", "EfficientNet-V2-B0", "efficientnetv2"])
def test_the_nearest_to_an_unknown_one_are_listed(name: str) -> None:
    with pytest.raises(SettingsError, match=f"There is no backbone '{name}'") as error:
        ModelSettings.read({"classes": CLASSES, "backbone": name})
    assert error.value.remedy.startswith("The nearest are EfficientNetV2")


@pytest.mark.parametrize("name", ["ResNet50", ""])
def test_all_are_listed_where_none_is_near(name: str) -> None:
    with pytest.raises(SettingsError, match="Use one of EfficientNetB0, EfficientNetB1"):
        ModelSettings.read({"classes": CLASSES, "backbone": name})


def test_what_is_no_text_is_no_backbone() -> None:
    with pytest.raises(SettingsError, match="3 is not a text"):
        ModelSettings.read({"classes": CLASSES, "backbone": 3})
