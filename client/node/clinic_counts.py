"""A clinic's answers to the coordinator's queries of counts: what it would send, and what it has sent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dermafed.client.node.home import Home, read_settings
from dermafed.client.node.replying import NotApproved
from dermafed.client.node.reviewed import read_reviewed
from dermafed.shared.counts.lesion_counts import LesionCounts
from dermafed.shared.counts.monthly_counts import MonthlyCounts
from dermafed.shared.errors import DatasetError, StorageError
from dermafed.shared.lesions.readers.loading import load_dataset
from dermafed.shared.storage.atomic_files import make_private_folder, write_private

SAME_FOR = timedelta(days=30)
"""For so long a clinic repeats its counts of lesions: what differs within a week may be one patient."""

_LESIONS, _DRIFT = "lesions.json", "drift.json"


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer that left.

    Attributes:
        when: the first time, UTC.
        counts: the answer as JSON types.
    """

    when: datetime
    counts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ClinicCounts:
    """A clinic's counts, from its folder."""

    home: Home

    def lesions(self) -> LesionCounts:
        """What a query of lesions is answered with now: for a while, the same as before.

        Raises:
            DermaFedError: the images cannot be listed, or are too few.
        """
        return self._repeated_lesions() or self._counted_lesions()

    def drift(self) -> MonthlyCounts:
        """What a query of drift is answered with now: the same as before until a month more is complete.

        Raises:
            DatasetError: nothing was served yet, or too little.
            FederationError: the file of the counts is damaged.
        """
        if (values := _read(self.home.monthly)) is None:
            raise DatasetError("No answers were counted", remedy="fl-client serve counts them, daily")
        fresh, sent = MonthlyCounts.from_dict(values), self.sent_drift()
        before = None if sent is None else MonthlyCounts.from_dict(sent.counts)
        return before if before is not None and before.last >= fresh.last else fresh.published()

    def tell_lesions(self) -> LesionCounts:
        """:meth:`lesions` for the coordinator, saved before they leave.

        Raises:
            NotApproved: the clinic's settings do not allow it.
            DermaFedError: there is nothing to tell, or it cannot be saved.
        """
        self._check(allowed=read_settings(self.home).counts.lesions, key="lesions")
        counts = self._repeated_lesions()
        if counts is None:
            counts = self._counted_lesions()
            self._save(_LESIONS, counts.to_dict())
        return counts

    def tell_drift(self) -> MonthlyCounts:
        """:meth:`drift` for the coordinator; raises as :meth:`tell_lesions` does."""
        self._check(allowed=read_settings(self.home).counts.drift, key="drift")
        counts, sent = self.drift(), self.sent_drift()
        if sent is None or sent.counts != counts.to_dict():
            self._save(_DRIFT, counts.to_dict())
        return counts

    def sent_lesions(self) -> Sent | None:
        """The last counts of lesions that left."""
        return _sent(self.home.counts / _LESIONS)

    def sent_drift(self) -> Sent | None:
        """The last monthly counts that left."""
        return _sent(self.home.counts / _DRIFT)

    def _check(self, *, allowed: bool, key: str) -> None:
        if not allowed:
            remedy = f"To allow it: {key} = true in [counts]"
            raise NotApproved("Nobody here allowed this query", where=self.home.settings_file, remedy=remedy)

    def _repeated_lesions(self) -> LesionCounts | None:
        sent = self.sent_lesions()
        if sent is None or datetime.now(UTC) >= sent.when + SAME_FOR:
            return None
        return LesionCounts.from_dict(sent.counts)

    def _counted_lesions(self) -> LesionCounts:
        settings = read_settings(self.home)
        own = load_dataset(settings.data, columns=settings.columns).records
        return LesionCounts.of([*own, *read_reviewed(self.home.reviewed)])

    def _save(self, name: str, counts: dict[str, Any]) -> None:
        make_private_folder(self.home.counts)
        content = {"sent": datetime.now(UTC).isoformat(timespec="seconds"), "counts": counts}
        write_private(self.home.counts / name, json.dumps(content, indent=2).encode())


def _sent(path: Path) -> Sent | None:
    values = _read(path)
    try:
        return None if values is None else Sent(datetime.fromisoformat(values["sent"]), values["counts"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path) from error


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text("utf-8"))) if path.exists() else None
    except (OSError, ValueError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> StorageError:
    return StorageError("The counts cannot be read", where=path, remedy="Restore them from your backup")
