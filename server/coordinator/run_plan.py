"""A run as its coordinator wants it: the offer, the first weights, and the rules of the rounds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic.dataclasses import dataclass

from dermafed.server.rounds.round_rules import (
    Attempts,
    LargestShare,
    LargestStep,
    Patience,
    Quorum,
    RoundRules,
)
from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.offer import OFFER_PARTS, Offer, offer_keys
from dermafed.shared.protocol.plan import Weights
from dermafed.shared.protocol.privacy_settings import PrivacySettings
from dermafed.shared.secure_sum.thresholds import least_cohort
from dermafed.shared.settings import STRICT, Key, KeyInfo, Settings, keys_of

LABELS = "labels"
"""The section whose keys are the clinics' own labels."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhd])", re.ASCII)


def parse_duration(text: str, where: str) -> float:
    """Seconds of a duration as people write it: ``45s``, ``30m``, ``24h``, ``7d``.

    Raises:
        SettingsError: it is not one, or zero.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if seconds <= 0:
        remedy = "Write for example 45s, 30m, 24h or 7d"
        raise SettingsError(f"{text!r} is not a duration", where=where, remedy=remedy)
    return seconds


def format_duration(seconds: float) -> str:
    """The duration in the largest unit that needs no fraction."""
    for unit in ("d", "h", "m"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds) // _SECONDS[unit]}{unit}"
    return f"{seconds:g}s"


def _checked_duration(text: str, info: ValidationInfo) -> str:
    parse_duration(text, str(info.field_name))
    return text


Duration = Annotated[str, AfterValidator(_checked_duration)]


@dataclass(frozen=True, config=STRICT)
class Rules(Settings):
    """The section ``rules``: durations as texts, the rest as in :class:`RoundRules`."""

    section: ClassVar[str] = "rules"

    quorum: Quorum = 0.5
    deadline: Annotated[
        Duration, Field(description="Time that clinics have to train, and again to evaluate")
    ] = "30m"
    approval: Annotated[Duration, Field(description="Time that clinics have to agree to the run")] = "24h"
    wait: Annotated[Duration, Field(description="Time that a round waits for a quorum to be connected")] = (
        "10m"
    )
    attempts: Attempts = 3
    patience: Patience = None
    largest_share: LargestShare = 0.5
    largest_step: LargestStep = 3.0


@dataclass(frozen=True, config=STRICT)
class RunPlan(Settings):
    """A run as its coordinator wants it.

    Attributes:
        offer: what the clinics are asked to agree to.
        clinics: the names of those asked; ``None``: all that are enrolled.
        weights: the first weights: ``imagenet``, ``none``, ``lite0``, or the path of a file.
        rules: the rules of its rounds.
    """

    offer: Offer
    clinics: Annotated[
        tuple[str, ...] | None,
        Field(description="The clinics that are asked"),
        Key(otherwise="all that are enrolled", example=["graz", "linz"]),
    ] = None
    weights: Weights = "imagenet"
    rules: Rules = Field(default_factory=Rules)

    @property
    def approval_seconds(self) -> float:
        """How long the clinics have to agree."""
        return parse_duration(self.rules.approval, "approval")

    def round_rules(self, clinics: int) -> RoundRules:
        """The rules of the rounds, for so many clinics.

        Raises:
            SettingsError: the quorum is larger, or too small for the plan's robust rule.
        """
        rules = RoundRules(
            rounds=self.offer.rounds,
            clinics=clinics,
            quorum=self.rules.quorum,
            deadline=parse_duration(self.rules.deadline, "deadline"),
            attempts=self.rules.attempts,
            connect_seconds=parse_duration(self.rules.wait, "wait"),
            patience=self.rules.patience,
            largest_share=self.rules.largest_share,
            largest_step=self.rules.largest_step,
        )
        if self.offer.privacy.is_secure:
            return secure_rules(rules, self.offer.privacy, self.offer.groups)
        self.offer.robust.check_clinics(rules.needed)
        return rules

    def to_dict(self) -> dict[str, Any]:
        """What was understood of the plan, by section, as JSON types."""
        values = self.offer.to_dict() | {"weights": self.weights}
        times = ("deadline", "approval", "wait")
        durations = {name: format_duration(parse_duration(getattr(self.rules, name), name)) for name in times}
        return {
            "run": {
                name: values[name]
                for name in (*SECTIONS[""], LABELS)
                if name != "clinics" and name in values  # a later key at its default is not
            },
            "model": values["model"],
            "preprocess": values["preprocess"],
            "training": values["recipe"],
            **{name: values[name] for name in ("privacy", "robust", "compression") if name in values},
            "rules": self.rules.to_dict() | durations,
        }


def secure_rules(rules: RoundRules, privacy: PrivacySettings, groups: int) -> RoundRules:
    """The rules of a secure plan: as many clinics as its sums need at least, and no rule of single clinics.

    Raises:
        SettingsError: secure sums of so many clinics, in so many groups, are impossible.
    """
    needed = max(rules.needed, least_cohort(rules.clinics, privacy.colluders, groups))
    return replace(rules, quorum=needed, largest_share=1.0, largest_step=None)


def _keys_by_section() -> dict[str, dict[str, KeyInfo]]:
    parts: dict[str, dict[str, KeyInfo]] = {name: {} for name in ("", *OFFER_PARTS)}
    for part, key in offer_keys():
        if key.help:
            parts[part][key.name] = key
    own = {name: key for name, key in keys_of(RunPlan).items() if key.help}
    parts["training"] = parts.pop("recipe")
    for section in ("training", "privacy", "robust", "compression"):
        parts[section] = parts.pop(section)  # in this order after the others
    top = sorted((parts[""] | own).values(), key=lambda key: not key.required)
    return {**parts, "": {key.name: key for key in top}, "rules": keys_of(Rules)}


SECTIONS = _keys_by_section()
"""The keys of a plan file by section; those at the top are under the empty name."""
