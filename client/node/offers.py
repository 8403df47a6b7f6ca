"""The offers that came to the clinic, and its decisions: a file for each offer, named by its hash."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from dermafed.shared.errors import SettingsError
from dermafed.shared.protocol.agreement import Decision, Reason
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.storage.atomic_files import write_json
from dermafed.shared.storage.lock import lock_folder

DecidedBy = Literal["", "person", "limits"]

_LATELY = timedelta(days=30)
_RUNS = 100  # Flower's numbers of runs that are kept of an offer
_MOST = {Decision.REFUSED: 20, Decision.WAITING: 50}  # offers that are kept without a person's decision
_UNDECIDED = {
    Decision.REFUSED: (("refused", "limits"),),
    Decision.WAITING: (("waiting", ""),),
}


@dataclass(frozen=True, slots=True)
class StoredOffer:
    """An offer and what the clinic decided.

    Attributes:
        text: the offer, as it was hashed.
        decision: approved, refused or waiting.
        reason: why it is refused or waits.
        by: who decided; empty while it waits.
        asked: when it came first, ISO 8601 in UTC.
        decided: when the clinic decided.
        class_counts: training images of each class over all clinics, once the server has sent them.
        runs: Flower's numbers of the runs that it was offered for.
    """

    text: str
    decision: Decision
    reason: Reason
    by: DecidedBy
    asked: str
    decided: str | None = None
    class_counts: tuple[int, ...] | None = None
    runs: tuple[int, ...] = ()

    @property
    def offer(self) -> Offer:
        """The offer itself."""
        return _parsed(self.text)


@lru_cache(maxsize=8)
def _parsed(text: str) -> Offer:
    """Every message of a run asks for its offer, of which a roster's keys take the longest to read."""
    return Offer.from_text(text)


@dataclass(frozen=True, slots=True)
class Offers:
    """The clinic's offers in their folder; the node and a person's commands may write at the same time."""

    folder: Path

    def load_all(self) -> dict[str, StoredOffer]:
        """Every offer by its hash, the oldest first."""
        offers = {path.stem: _read(path) for path in self.folder.glob("*.json")}
        return dict(sorted(offers.items(), key=lambda item: item[1].asked))

    def load(self, hash: str) -> StoredOffer | None:
        """The offer of this hash, if it ever came."""
        path = self._path(hash)
        return _read(path) if path.exists() else None

    def count_approved_by_limits(self, other_than: str) -> int:
        """How many offers but the one of this hash the clinic's policy approved in the last 30 days."""
        since = (datetime.now(UTC) - _LATELY).isoformat(timespec="seconds")
        paths = [path for path in self.folder.glob("*.json") if path.stem != other_than]
        found = [_fields(path, "decision", "by", "decided") for path in paths]
        return sum(each[:2] == ("approved", "limits") and str(each[2]) >= since for each in found)

    def find_run(self, run: int) -> tuple[str, StoredOffer] | None:
        """Hash and offer of a run, if it was offered to the clinic; other offers are not even checked."""
        found = {path.stem: _read(path) for path in self.folder.glob("*.json") if run in _runs(path)}
        return max(found.items(), key=lambda item: item[1].asked, default=None)

    def find_plan(self, plan: str) -> tuple[str, StoredOffer]:
        """The offer that a person names by the start of its hash, or by its name.

        Raises:
            SettingsError: there is none, or several.
        """
        offers = self.load_all()
        found = [
            hash for hash, one in offers.items() if plan and (hash.startswith(plan) or one.offer.name == plan)
        ]
        if len(found) != 1:
            known = ", ".join(hash[:12] for hash in found or offers)
            remedy = f"Name one of: {known}" if known else "Wait until fl-client plans shows one"
            raise SettingsError(
                f"{len(found) or 'No'} plans are called {plan!r}", where="plan", remedy=remedy
            )
        return found[0], offers[found[0]]

    def add(self, offer: Offer, run: int, by_policy: tuple[Decision, Reason]) -> StoredOffer:
        """Save an offer that came, with the decision of the clinic's policy.

        A person's decision stays; the policy decides again until a person has decided. Of the offers that no
        person decided on, the oldest are removed: a coordinator may send many.
        """
        with lock_folder(self.folder):
            stored = self.load(offer.hash)
            if stored is None or stored.decision is Decision.WAITING or stored.by != "person":
                decision, reason = by_policy
                by: DecidedBy = "" if decision is Decision.WAITING else "limits"
                stored = _decided(stored or _new(offer), decision, reason, by)
            if run not in stored.runs:
                stored = replace(stored, runs=(*stored.runs, run)[-_RUNS:])
            self._write(offer.hash, stored)
            if stored.decision is not Decision.APPROVED:
                self._remove_oldest(stored.decision, offer.hash)
        return stored

    def _remove_oldest(self, decision: Decision, hash: str) -> None:
        """Remove the oldest offers of a decision that no person made, unless a run has begun; never this."""
        paths = [path for path in self.folder.glob("*.json") if path.stem != hash]
        undecided = [path for path in paths if _fields(path, "decision", "by") in _UNDECIDED[decision]]
        for path in sorted(undecided, key=lambda path: path.stat().st_mtime)[: 1 - _MOST[decision]]:
            if not path.with_suffix("").exists():
                path.unlink()

    def decide(self, hash: str, decision: Decision) -> None:
        """Save a person's decision on an offer."""
        reason = Reason.BY_HAND if decision is Decision.REFUSED else Reason.NONE
        with lock_folder(self.folder):
            self._write(hash, _decided(_read(self._path(hash)), decision, reason, "person"))

    def save_class_counts(self, hash: str, class_counts: tuple[int, ...]) -> None:
        """Save how many training images of each class all clinics have."""
        with lock_folder(self.folder):
            self._write(hash, replace(_read(self._path(hash)), class_counts=class_counts))

    def _path(self, hash: str) -> Path:
        return self.folder / f"{hash}.json"

    def _write(self, hash: str, stored: StoredOffer) -> None:
        write_json(self._path(hash), asdict(stored))


def _new(offer: Offer) -> StoredOffer:
    return StoredOffer(offer.to_text(), Decision.WAITING, Reason.ASKS_A_PERSON, "", _now())


def _decided(stored: StoredOffer, decision: Decision, reason: Reason, by: DecidedBy) -> StoredOffer:
    when = None if decision is Decision.WAITING else _now()
    if (stored.decision, stored.by) == (decision, by):
        when = stored.decided
    return replace(stored, decision=decision, reason=reason, by=by, decided=when)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _fields(path: Path, *names: str) -> tuple[Any, ...]:
    """Fields of an offer's file, without a check of the offer; none of one that is damaged."""
    try:
        values = json.loads(path.read_text("utf-8"))
        return tuple(values[name] for name in names)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ()


def _runs(path: Path) -> list[int]:
    (runs,) = _fields(path, "runs") or ([],)
    return runs if isinstance(runs, list) else []


def _read(path: Path) -> StoredOffer:
    """An offer's file; its text must still have the hash that names it."""
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
        counts = values["class_counts"]
        stored = StoredOffer(
            **{
                **values,
                "decision": Decision(values["decision"]),
                "reason": Reason(values["reason"]),
                "class_counts": None if counts is None else tuple(counts),
                "runs": tuple(values["runs"]),
            }
        )
        if stored.offer.hash != path.stem:
            raise ValueError("the text was changed")
    except (OSError, ValueError, KeyError, TypeError, SettingsError) as error:
        raise SettingsError(
            f"The plan cannot be read: {error}",
            where=path,
            remedy="Remove it; the coordinator can offer the plan again",
        ) from error
    return stored
