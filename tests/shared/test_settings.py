"""Settings: what is refused, the messages, and the descriptions of the fields."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import pytest
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Key, Number, Settings, keys_of


@dataclass(frozen=True, config=STRICT)
class Oven(Settings):
    section: ClassVar[str] = "oven"

    degrees: Annotated[int, Field(ge=50, le=300, description="Temperature"), Key(synthetic=60)]
    hours: Annotated[Number, Field(gt=0)] = 1
    fan: bool = False
    mode: Annotated[Literal["bake", "grill"], Field(description="What it does")] = "bake"
    trays: tuple[str, ...] = ()
    probe: Annotated[float, Field(lt=1)] | None = None

    @model_validator(mode="after")
    def _a_grill_has_no_fan(self) -> Self:
        if self.mode == "grill" and self.fan:
            raise SettingsError("'fan' does not go with 'grill'", where="fan", remedy="Choose one")
        return self


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "The key 'degrees' is missing (oven.degrees). Give it."),
        ({"degree": 90}, "There is no key 'degree' (oven.degree). Perhaps 'degrees' is meant."),
        (
            {"degrees": 90, "xyz": 1},
            "There is no key 'xyz' (oven.xyz). The keys there are degrees, hours, fan, mode, trays, probe.",
        ),
        ({"degrees": 90.5}, "90.5 is not a whole number (oven.degrees). Give a whole number from 50 to 300."),
        (
            {"degrees": True},
            "True is not a whole number (oven.degrees). Give a whole number from 50 to 300.",
        ),
        (
            {"degrees": "90"},
            "'90' is not a whole number (oven.degrees). Give a whole number from 50 to 300.",
        ),
        ({"degrees": 301}, "degrees is 301 (oven.degrees). Give a whole number from 50 to 300."),
        ({"degrees": 90, "hours": 0}, "hours is 0 (oven.hours). Give a number above 0."),
        ({"degrees": 90, "hours": float("nan")}, "hours is nan (oven.hours). Give a number above 0."),
        ({"degrees": 90, "hours": float("inf")}, "hours is inf (oven.hours). Give a number above 0."),
        ({"degrees": 90, "hours": True}, "True is not a number (oven.hours). Give a number above 0."),
        ({"degrees": 90, "fan": 1}, "1 is not true or false (oven.fan). Give true or false."),
        ({"degrees": 90, "mode": "boil"}, "There is no mode 'boil' (oven.mode). Use one of bake, grill."),
        ({"degrees": 90, "mode": None}, "None is not a text (oven.mode). Give one of bake, grill."),
        ({"degrees": 90, "trays": "low"}, "'low' is not a list of texts (oven.trays). Give a list of texts."),
        ({"degrees": 90, "trays": [1]}, "1 is not a list of texts (oven.trays). Give a list of texts."),
        (
            {"degrees": 90, "fan": True, "mode": "grill"},
            "'fan' does not go with 'grill' (oven.fan). Choose one.",
        ),
    ],
)
def test_a_refusal_names_the_value_the_key_and_what_it_may_be(
    values: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Oven.read(values)
    assert str(caught.value) == message


def test_a_change_is_checked_too() -> None:
    with pytest.raises(SettingsError, match="degrees is 1000"):
        replace(Oven(90), degrees=1000)


def test_settings_are_values() -> None:
    assert Oven(90) == Oven(90, hours=1)
    assert hash(Oven(90)) == hash(Oven(90))
    assert pickle.loads(pickle.dumps(Oven(90))) == Oven(90)
    with pytest.raises(AttributeError):
        Oven(90).degrees = 91  # type: ignore[misc]


def test_numbers_are_written_as_they_were_read() -> None:
    assert Oven.from_dict({"degrees": 90, "hours": 2, "trays": ["low"]}).to_dict() == {
        **{"degrees": 90, "hours": 2, "fan": False, "mode": "bake", "trays": ["low"], "probe": None}
    }
    assert type(Oven.from_dict({"degrees": 90, "hours": 2}).hours) is int
    assert type(Oven.from_dict({"degrees": 90, "hours": 2.0}).hours) is float


def test_every_field_has_a_description() -> None:
    keys = keys_of(Oven)
    assert (keys["degrees"].kind, keys["degrees"].required, keys["degrees"].key.synthetic) == (int, True, 60)
    assert (keys["probe"].kind, keys["probe"].bounds, keys["probe"].default) == (float, {"lt": 1}, None)
    assert (keys["mode"].choices, keys["mode"].help_with_choices) == (
        ("bake", "grill"),
        "What it does: bake or grill.",
    )
    assert keys["hours"].allowed == "a number above 0"
