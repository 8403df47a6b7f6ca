"""The settings that a clinic may edit, ``clinic.toml`` in its folder, with the limits of what runs there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from dermafed.client.node.count_settings import CountSettings
from dermafed.client.node.privacy_budget import BudgetSettings
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesions.readers.columns import ColumnNames
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.names import check_name
from dermafed.shared.protocol.agreement import Decision, Reason
from dermafed.shared.protocol.offer import Offer, offer_keys
from dermafed.shared.protocol.plan import EXACT_HEAD
from dermafed.shared.protocol.price import Price, RoundOfWork, least_round
from dermafed.shared.protocol.sent import sent_by
from dermafed.shared.settings import KeyInfo, Settings, keys_of, unknown_key
from dermafed.shared.toml_file import read_toml

Mode = Literal["ask", "limits"]
S = TypeVar("S", bound=Settings)

PLANS = 10
"""Plans that the limits approve in 30 days by default: a coordinator learns a little from each."""


@cache
def limited_keys() -> dict[str, tuple[str, KeyInfo]]:
    """The limits that ``clinic.toml`` may set, by name: the part of the offer, and the key that is limited.

    A number KEY is limited by ``max_KEY``, the strategy by ``strategies``, and true or false by its own name.
    The parts of a plan's price are limited as its keys are.
    """
    price = [("price", key) for key in keys_of(Price).values()]
    return {_name(key): (part, key) for part, key in (*offer_keys(), *price) if key.key.asks}


@cache
def least_keys() -> dict[str, tuple[str, KeyInfo]]:
    """The numbers ``min_KEY`` in ``clinic.toml``, by name: below them, nobody can approve a plan."""
    work = [("work", key) for key in keys_of(RoundOfWork).values()]
    return {f"min_{key.name}": (part, key) for part, key in (*offer_keys(), *work) if key.key.least}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an offer may ask for at most.

    Attributes:
        policy: ``ask`` waits for a person; ``limits`` approves what is within them and refuses the rest.
        values: the limits that are not at their default, by the names of :func:`limited_keys`.
        plans: how many plans the policy approves in 30 days; further ones wait for a person.
    """

    policy: Mode = "ask"
    values: Mapping[str, Any] = field(default_factory=dict)
    plans: int = PLANS

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: object) -> Limits:
        """Limits from a settings file.

        Raises:
            SettingsError: a field is unknown or of another type.
        """
        own = dict(values)
        policy = own.pop("policy", "ask")
        if policy not in get_args(Mode):
            raise SettingsError(f"There is no policy {policy!r}", where=where, remedy="Use ask or limits")
        plans = own.pop("max_plans", PLANS)
        if type(plans) is not int or plans < 0:
            remedy = "Give a whole number"
            raise SettingsError(f"The limit 'max_plans' is {plans!r}", where=where, remedy=remedy)
        for name, value in own.items():
            known = {**limited_keys(), **least_keys()}
            if name not in known:
                raise unknown_key(name, ["policy", "max_plans", *known], where=f"{where}, limits.{name}")
            _check(name, value, known[name][1], where)
        changed = {name: value for name, value in own.items() if value != _default_of(name)}
        return cls(policy, changed, plans)

    def beyond(self, offer: Offer) -> list[str]:
        """What an offer asks for beyond the limits, as phrases for people; empty if nothing."""
        faults = self.never(offer)
        for name, (part, key) in limited_keys().items():
            most = self.values.get(name, _default_of(name))
            value = _value(offer, part, key)
            if key.name == "epsilon":
                faults += _beyond_epsilon(offer, most)
            elif None not in (value, most) and (value not in most if key.choices else value > most):
                numbers = most and not key.choices
                faults.append(key.key.asks.format(value) + (f", at most {most}" if numbers else ""))
        return faults

    def never(self, offer: Offer, images: int | None = None, patients: int | None = None) -> list[str]:
        """What of an offer nobody here can approve, as phrases for people; empty if nothing.

        Args:
            offer: the offer.
            images: training images of the clinic, if they are known.
            patients: training patients, if they are known.
        """
        # With noise by patient, few images do not show in a round.
        has_noise = offer.dp is not None
        work = None if images is None or has_noise else least_round(offer.recipe, offer.rounds, images)
        faults = [] if offer.epsilon is None else [f"epsilon {offer.epsilon:g}, but nothing would be noised"]
        faults += _beyond_delta(offer, patients)
        for name, (part, key) in least_keys().items():
            least = self.values.get(name, _default_of(name))
            value = getattr(work, key.name, None) if part == "work" else _value(offer, part, key)
            if value is not None and value < least:
                faults.append(f"{key.key.asks.format(value)}, at least {least}")
        if images is not None and offer.strategy == EXACT_HEAD and images < offer.recipe.head_images:
            faults.append(f"an exact head of {images} images, which needs {offer.recipe.head_images}")
        return faults

    def decide(self, offer: Offer) -> tuple[Decision, Reason]:
        """The clinic's answer to an offer before a person has decided, if few were approved before."""
        # People approve the list of what this node's code sends.
        if set(offer.sends) != set(sent_by(offer.privacy, offer.robust)):
            return Decision.REFUSED, Reason.OTHER_VERSION
        if self.never(offer):
            return Decision.REFUSED, Reason.BEYOND_LIMITS
        if self.policy == "ask":
            return Decision.WAITING, Reason.ASKS_A_PERSON
        if self.beyond(offer):
            return Decision.REFUSED, Reason.BEYOND_LIMITS
        return Decision.APPROVED, Reason.NONE


@dataclass(frozen=True, slots=True)
class ClinicSettings:
    """The settings in ``clinic.toml``.

    Attributes:
        clinic: the clinic's name in the federation.
        data: the clinic's labelled images.
        port: port of the node's own interface on this machine; 0: a free one.
        limits: the limits of the clinic's policy.
        columns: columns of the manifest that go by other names than the accepted ones.
        decision: what the clinic wants of an alert for melanoma.
        privacy: what may be spent of each patient over all runs.
        counts: which queries of counts the clinic answers.
    """

    clinic: str
    data: Path
    port: int = 0
    limits: Limits = field(default_factory=Limits)
    columns: ColumnNames = field(default_factory=ColumnNames)
    decision: DecisionSettings = field(default_factory=DecisionSettings)
    privacy: BudgetSettings = field(default_factory=BudgetSettings)
    counts: CountSettings = field(default_factory=CountSettings)


def load_settings(path: Path) -> ClinicSettings:
    """Read a clinic's settings; a relative path of data starts at the file's folder.

    Raises:
        SettingsError: they are damaged; the message names the field.
    """
    values = read_toml(path)
    values.pop("serve", None)  # dermafed.client.clinic.http.serve_settings reads it
    decision = _section(DecisionSettings, values, path)
    privacy = _section(BudgetSettings, values, path)
    counts = _section(CountSettings, values, path)
    try:
        limits = Limits.from_dict(values.pop("limits", {}), path)
        clinic, data, port = str(values.pop("clinic")), str(values.pop("data")), int(values.pop("port", 0))
        columns = ColumnNames(_column(values, "image"), _column(values, "label"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"The settings cannot be used: {error}", where=path, remedy="Correct the file"
        ) from error
    if values:
        raise SettingsError(f"There is no setting '{min(values)}'", where=path, remedy="Remove it")
    own = (limits, columns, decision, privacy, counts)
    return ClinicSettings(check_name(clinic, "clinic"), path.parent / data, port, *own)


def _section(kind: type[S], values: dict[str, Any], path: Path) -> S:
    try:
        return kind.read(values.pop(kind.section, {}))
    except SettingsError as error:
        raise SettingsError(error.what, where=f"{path}, {error.where}", remedy=error.remedy) from None


def _column(values: dict[str, Any], name: str) -> str | None:
    column = values.pop(name, None)
    if not isinstance(column, str | None):
        raise TypeError(f"{name} is not a text")
    return column


def default_limits() -> str:
    """The lines of ``clinic.toml`` with every limit at its default; those without one are commented out."""
    lines = []
    for name in (*limited_keys(), *least_keys()):
        most = _default_of(name)
        value = json.dumps(8.0 if most is None else most)
        lines.append(f"# {name} = {value}" if most is None else f"{name} = {value}")
    return "\n".join(lines)


def _beyond_epsilon(offer: Offer, most: float | None) -> Iterator[str]:
    dp = offer.dp
    if dp is None and most is not None and offer.epsilon is None:
        yield f"no differential privacy, epsilon at most {most}"
    elif dp is not None and most is not None and dp.epsilon > most:
        yield f"epsilon {dp.epsilon:g}, at most {most:g}"


def _beyond_delta(offer: Offer, patients: int | None) -> Iterator[str]:
    dp = offer.dp
    if dp is not None and patients is not None and dp.delta * patients >= 1:
        yield f"delta {dp.delta:g} with {patients} patients: from 1/{patients} on, one of them may be shown"


def _name(key: KeyInfo) -> str:
    if key.choices:
        return "strategies" if key.name == "strategy" else f"{key.name}s"
    return key.name if key.kind is bool else f"max_{key.name}"


def _value(offer: Offer, part: str, key: KeyInfo) -> Any:
    return getattr(getattr(offer, part) if part else offer, key.name)


def _default_of(name: str) -> Any:
    if name in least_keys():
        return least_keys()[name][1].key.least
    key = limited_keys()[name][1]
    return list(key.choices) if key.choices else key.key.limit


def _check(name: str, value: Any, key: KeyInfo, where: object) -> None:
    types, kind = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
        str: ((list,), f"a list of some of {', '.join(key.choices)}"),
    }[key.kind]
    if type(value) not in types:
        raise SettingsError(f"The limit '{name}' is {value!r}", where=where, remedy=f"Give {kind}")
