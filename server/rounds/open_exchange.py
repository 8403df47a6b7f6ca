"""The exchange that a run is in: who was asked, who has replied, whom it waits for; as a file of the run.

The server writes it, the commands and the dashboard read it. Nothing of a run depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dermafed.shared.storage.atomic_files import write_atomically

EXCHANGE_FILE = "exchange.json"
_LEAST_LATE_SECONDS = 5.0
_UNKNOWN = "model unknown"  # Refusal.MODEL_UNKNOWN, whose module loads Flower: who gets a message in full

_WORDS = {
    "train": "training",
    "train.head": "sums of the last layer",
    "train.slopes": "slopes of the last layer",
    "evaluate": "evaluation",
    "query.offer": "agreement",
    "query.prepare": "preparation of the images",
    "query.explain": "explanations",
    "query.lesions": "sums of the lesion finder",
    "query.finder": "the lesion finder, sent to the clinics",
    "query.audit": "audit of the model",
    "query.sum_keys": "keys of a secure sum",
    "query.sum_parts": "graph of a secure sum",
    "query.sum_shares": "shares of a secure sum",
    "query.summed_counts": "secure sum of the classes' images",
    "train.summed": "training, for a secure sum",
    "evaluate.summed": "evaluation, for a secure sum",
    "query.sum_survivors": "signatures of a secure sum",
    "query.sum_release": "opening of a secure sum",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """A clinic's part in the exchange.

    Attributes:
        asked: time of the message to it, UTC.
        answered: time of its reply, or of the news that none will come; ``None``: it is waited for.
        problem: why there is no result; empty otherwise.
    """

    asked: str
    answered: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was sent to a clinic and received from it in the whole run: bytes of arrays and numbers."""

    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class OpenExchange:
    """One exchange.

    Attributes:
        kind: type of its messages, for example ``train``.
        round: its round; 0 before the first.
        attempt: 1, or more where too few replied before.
        deadline: seconds that the clinics have.
        turns: each asked clinic's part, by name.
        traffic: of the run so far, by clinic.
    """

    kind: str = ""
    round: int = 0
    attempt: int = 0
    deadline: float = 0.0
    turns: Mapping[str, Turn] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """What the clinics are asked for."""
        return _WORDS.get(self.kind, "calibration")

    @property
    def waiting(self) -> dict[str, str]:
        """The clinics that have not replied, and since when each is asked; the longest first."""
        asked = {name: turn.asked for name, turn in self.turns.items() if turn.answered is None}
        return dict(sorted(asked.items(), key=lambda item: (item[1], item[0])))

    @property
    def is_complete(self) -> bool:
        """Whether every clinic that was asked has replied, or never will."""
        return all(turn.answered is not None for turn in self.turns.values())

    def late(self, now: datetime) -> list[str]:
        """Those of :attr:`waiting` that take more than twice as long as the slowest of at least half."""
        done = [turn for turn in self.turns.values() if turn.answered is not None]
        if not done or 2 * len(done) < len(self.turns):
            return []
        slowest = max(_seconds(turn.asked, turn.answered or turn.asked) for turn in done)
        patience = max(2 * slowest, _LEAST_LATE_SECONDS)
        return [
            name for name, asked in self.waiting.items() if (now - _time(asked)).total_seconds() > patience
        ]

    @property
    def problems(self) -> dict[str, str]:
        """The clinics that replied without a result, each with the reason."""
        return {name: turn.problem for name, turn in sorted(self.turns.items()) if turn.problem}

    @property
    def replied(self) -> int:
        """How many have replied with a result; whether it is accepted is known at the round's end."""
        return sum(turn.answered is not None and not turn.problem for turn in self.turns.values())

    def asked(self, clinic: str, kind: str, round: int, deadline: float, size: int) -> OpenExchange:
        """After a message of so many bytes to a clinic; one that was asked already begins a new attempt."""
        same = (kind, round) == (self.kind, self.round)
        again = same and clinic in self.turns and not self.turns[clinic].problem.startswith(_UNKNOWN)
        turns = dict(self.turns) if same and not again else {}
        attempt = self.attempt + again if same else 1
        before = self.traffic.get(clinic, Traffic())
        traffic = {**self.traffic, clinic: replace(before, sent=before.sent + size)}
        return OpenExchange(kind, round, attempt, deadline, {**turns, clinic: Turn(_now())}, traffic)

    def answered(self, clinic: str, problem: str, size: int) -> OpenExchange:
        """After a clinic's reply of so many bytes."""
        if clinic not in self.turns:
            return self
        turn = replace(self.turns[clinic], answered=_now(), problem=problem)
        before = self.traffic.get(clinic, Traffic())
        traffic = {**self.traffic, clinic: replace(before, received=before.received + size)}
        return replace(self, turns={**self.turns, clinic: turn}, traffic=traffic)


def save_exchange(folder: Path, exchange: OpenExchange) -> None:
    """Write the exchange into a run's folder, in place of the one before.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    values = _plain(exchange)
    for part in ("turns", "traffic"):
        values[part] = {name: _plain(one) for name, one in values[part].items()}
    write_atomically(folder / EXCHANGE_FILE, json.dumps(values, ensure_ascii=False).encode())


def _plain(one: OpenExchange | Turn | Traffic) -> dict[str, Any]:
    """The fields by name, as ``asdict`` would give them one level deep; twice a second, of many clinics."""
    return {name: getattr(one, name) for name in one.__slots__}


def load_exchange(folder: Path) -> OpenExchange | None:
    """The last exchange of a run; ``None`` where there was none, or it cannot be read."""
    try:
        values: dict[str, Any] = json.loads((folder / EXCHANGE_FILE).read_text("utf-8"))
        turns = {name: Turn(**turn) for name, turn in values.pop("turns").items()}
        traffic = {name: Traffic(**sizes) for name, sizes in values.pop("traffic").items()}
        return OpenExchange(**values, turns=turns, traffic=traffic)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _time(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


def _seconds(start: str, end: str) -> float:
    return (_time(end) - _time(start)).total_seconds()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
