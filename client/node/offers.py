"""What was offered to the clinic, and what it said: a file for each offer, by its hash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.agreement import Decision, Reason
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.storage.lock import lock_folder

By = Literal["", "person", "limits"]


@dataclass(frozen=True, slots=True)
class StoredOffer:
    """An offer and what the clinic said to it.

    Attributes:
        text: the offer, as it was hashed.
        decision: what the clinic says.
        reason: why not, or not yet.
        by: who decided.
        asked: when it came first, ISO 8601 in UTC.
        decided: when the clinic decided.
        class_counts: training images of each class over all clinics, once the server has told.
        runs: Flower's numbers of the runs that it was offered for.
    """

    text: str
    decision: Decision
    reason: Reason
    by: By
    asked: str
    decided: str | None = None
    class_counts: tuple[int, ...] | None = None
    runs: tuple[int, ...] = ()

    @property
    def offer(self) -> Offer:
        """The offer itself."""
        return Offer.from_text(self.text)


@dataclass(frozen=True, slots=True)
class Offers:
    """The clinic's offers in their folder; the node and a person's commands may write at a time."""

    folder: Path

    def all(self) -> dict[str, StoredOffer]:
        """Every offer by its hash, the oldest first."""
        known = {path.stem: _read(path) for path in self.folder.glob("*.json")}
        return dict(sorted(known.items(), key=lambda item: item[1].asked))

    def get(self, hash: str) -> StoredOffer | None:
        """The offer of this hash, if it ever came."""
        path = self._path(hash)
        return _read(path) if path.exists() else None

    def of_run(self, run: int) -> tuple[str, StoredOffer] | None:
        """Hash and offer of a run, if the clinic was asked about it."""
        return next((item for item in reversed(self.all().items()) if run in item[1].runs), None)

    def find(self, plan: str) -> tuple[str, StoredOffer]:
        """The offer that a person means by the start of its hash, or by its name.

        Raises:
            SettingsError: there is none, or several.
        """
        known = self.all()
        found = [
            hash for hash, one in known.items() if plan and (hash.startswith(plan) or one.offer.name == plan)
        ]
        if len(found) != 1:
            remedy = f"Name one of: {', '.join(hash[:12] for hash in found or known) or 'none is there yet'}"
            raise SettingsError(
                f"{len(found) or 'No'} plans are called {plan!r}", where="plan", remedy=remedy
            )
        return found[0], known[found[0]]

    def remember(self, offer: Offer, run: int, decided: tuple[Decision, Reason]) -> StoredOffer:
        """Keep an offer that came, with what the policy says to it.

        What a person said stays; the policy is asked again until someone or something has decided.
        """
        with self._alone():
            known = self.get(offer.hash)
            if known is None or known.decision is Decision.WAITING or known.by != "person":
                decision, reason = decided
                by: By = "" if decision is Decision.WAITING else "limits"
                known = _decided(known or _new(offer), decision, reason, by)
            if run not in known.runs:
                known = replace(known, runs=(*known.runs, run))
            self._write(offer.hash, known)
        return known

    def decide(self, hash: str, decision: Decision) -> None:
        """Keep what a person says to an offer."""
        reason = Reason.BY_HAND if decision is Decision.REFUSED else Reason.NONE
        with self._alone():
            self._write(hash, _decided(_read(self._path(hash)), decision, reason, "person"))

    def keep_counts(self, hash: str, class_counts: tuple[int, ...]) -> None:
        """Keep how many training images of each class all clinics have."""
        with self._alone():
            self._write(hash, replace(_read(self._path(hash)), class_counts=class_counts))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with lock_folder(self.folder):
            yield

    def _path(self, hash: str) -> Path:
        return self.folder / f"{hash}.json"

    def _write(self, hash: str, known: StoredOffer) -> None:
        write_json(self._path(hash), asdict(known))


def _new(offer: Offer) -> StoredOffer:
    return StoredOffer(offer.to_text(), Decision.WAITING, Reason.ASKS_A_PERSON, "", _now())


def _decided(known: StoredOffer, decision: Decision, reason: Reason, by: By) -> StoredOffer:
    when = None if decision is Decision.WAITING else _now()
    if (known.decision, known.by) == (decision, by):
        when = known.decided
    return replace(known, decision=decision, reason=reason, by=by, decided=when)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> StoredOffer:
    """An offer's file; its text must still have the hash that names it."""
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        counts = values["class_counts"]
        known = StoredOffer(
            **{
                **values,
                "decision": Decision(values["decision"]),
                "reason": Reason(values["reason"]),
                "class_counts": None if counts is None else tuple(counts),
                "runs": tuple(values["runs"]),
            }
        )
        if known.offer.hash != path.stem:
            raise ValueError("the text was changed")
    except (OSError, ValueError, KeyError, TypeError, SettingsError) as error:
        raise SettingsError(
            f"The plan cannot be read: {error}",
            where=path,
            remedy="Remove it; the coordinator can offer it again",
        ) from error
    return known
