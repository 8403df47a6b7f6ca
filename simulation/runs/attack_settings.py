"""A hostile clinic in a simulation: which one, and what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from dermafed.shared.errors import SettingsError
from dermafed.shared.settings import STRICT, Key, Settings

AttackKind = Literal["labels", "scaled", "flipped", "backdoor", "quiet-backdoor", "free-rider", "replay"]
"""What :mod:`dermafed.simulation.runs.hostile_trainer` describes."""


@plain_dataclass(frozen=True, slots=True)
class Attack:
    """What a hostile clinic does.

    Attributes:
        kind: the attack.
        clinic: the clinic's name.
    """

    kind: AttackKind
    clinic: str

    @property
    def has_patch(self) -> bool:
        """Whether it teaches the model that a patch stands for a class."""
        return self.kind in ("backdoor", "quiet-backdoor")


@dataclass(frozen=True, config=STRICT, kw_only=True)
class AttackSettings(Settings):
    """The hostile clinic of a simulated run, as ``KIND:CLINIC``."""

    attack: Annotated[
        str | None,
        Field(description="A hostile clinic, KIND:CLINIC; KIND is " + ", ".join(get_args(AttackKind))),
        Key(panel="Run", otherwise="none", later=True),
    ] = None

    @model_validator(mode="after")
    def _attack_is_known(self) -> Self:
        self.parsed_attack()
        return self

    def attack_among(self, clinics: Sequence[str]) -> Attack | None:
        """The attack by one of these clinics.

        Raises:
            SettingsError: it is by none of them.
        """
        attack = self.parsed_attack()
        if attack is not None and attack.clinic not in clinics:
            remedy = f"Name one of {', '.join(clinics)}"
            raise SettingsError(f"There is no clinic '{attack.clinic}'", where="--attack", remedy=remedy)
        return attack

    def parsed_attack(self) -> Attack | None:
        """The attack; ``None``: all clinics are honest.

        Raises:
            SettingsError: it is not one.
        """
        if self.attack is None:
            return None
        kind, _, clinic = self.attack.partition(":")
        for known in get_args(AttackKind):
            if kind == known and clinic:
                return Attack(known, clinic)
        raise SettingsError(
            f"{self.attack!r} is not an attack",
            where="attack",
            remedy=f"Write KIND:CLINIC, KIND one of {', '.join(get_args(AttackKind))}",
        )
