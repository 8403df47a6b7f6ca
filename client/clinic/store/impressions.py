"""A clinician's own impression of an image, given before the model's answer was shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.store.diagnoses import load
from dermafed.client.clinic.store.opinions import OTHER, add_event, events
from dermafed.client.clinic.store.vault import Vault, to_iso

IMPRESSION = "impression"
"""The kind of the event."""


@dataclass(frozen=True, slots=True)
class Impression:
    """What a clinician took the lesion for, at first sight.

    Attributes:
        who: the clinician, by the name of the token.
        label: a class of the model, or ``"other"``; ``None``: the clinician cannot say.
        time: when it was saved, ISO 8601 in UTC, to the millisecond; set by the store.
    """

    who: str
    label: str | None
    time: str = ""


def add_impression(vault: Vault, id: str, who: str, label: str | None) -> Impression:
    """Save a clinician's impression; only the first is one, since the model's answer is shown then.

    Raises:
        Refused: it names no class of the model, or the clinician gave one before (400); there is no such
            diagnosis (404), or it was forgotten (410).
    """
    classes = tuple(load(vault, id).probabilities)
    if label is not None and label not in (*classes, OTHER):
        remedy = f"Use one of {', '.join((*classes, OTHER))}, or none"
        raise Refused("class-unknown", "There is no such class", where="label", remedy=remedy)
    with vault.database.writing() as db:
        if any(each["who"] == who for each in events(vault, db, id, IMPRESSION)):
            what = "You have given your impression, and then saw the model's answer"
            raise Refused("opinion", what, remedy="Give your opinion instead")
        time = add_event(vault, db, id, IMPRESSION, {"who": who, "label": label})
    return Impression(who, label, to_iso(time))


def list_impressions(vault: Vault, id: str) -> list[Impression]:
    """The impressions of an image, oldest first."""
    with vault.database.reading() as db:
        return impressions_of(events(vault, db, id, IMPRESSION))


def impressions_of(events: Iterable[Mapping[str, Any]]) -> list[Impression]:
    """The impressions in the events of a diagnosis, oldest first."""
    return [Impression(each["who"], each["label"], each["time"]) for each in events]
