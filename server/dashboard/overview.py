"""What the first page shows: the server, its clinics, its runs, and the invitations that nobody used."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermafed.server.coordinator.current_state import current_run
from dermafed.server.coordinator.federation_folder import TRUST, authority_fingerprint, load_settings
from dermafed.server.dashboard.pages import moment
from dermafed.server.dashboard.run_facts import ORDER
from dermafed.server.record.clinics_table import Clinic, list_clinics
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import read_last_round
from dermafed.server.record.runs_table import Run, list_runs
from dermafed.server.record.silences_table import list_silences, silence_words
from dermafed.server.rounds.history import HistoryRow, guesses
from dermafed.shared.protocol.node_key import fingerprint
from dermafed.shared.storage.lock import is_locked


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run, and its last round if one is finished."""

    run: Run
    last: HistoryRow | None

    @property
    def guesses(self) -> bool:
        """Whether its model is no better than guessing."""
        return self.last is not None and guesses(self.last)


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page.

    Attributes:
        federation: its name.
        address: that clinics connect to.
        ca_fingerprint: the authority's, to compare with a clinic.
        serving: whether the server runs.
        clinics: those that are enrolled.
        silent: those of them that count as connected but are not heard, by name: since when, in words.
        pending: clinics that have never connected, each with its key's fingerprint.
        revoked: those that were revoked.
        runs: the latest first.
        current: the active run, or the last.
    """

    federation: str
    address: str
    ca_fingerprint: str
    serving: bool
    clinics: Sequence[Clinic]
    silent: Mapping[str, str]
    pending: Sequence[tuple[Clinic, str]]
    revoked: Sequence[Clinic]
    runs: Sequence[RunLine]
    current: Run | None

    @property
    def chips(self) -> list[tuple[Clinic, str, str]]:
        """The enrolled clinics, each with its condition, and in words; those to look at first."""
        found = [(clinic, *self._condition(clinic)) for clinic in self.clinics]
        return sorted(found, key=lambda chip: (ORDER.index(chip[1]), chip[0].name))

    def _condition(self, clinic: Clinic) -> tuple[str, str]:
        if clinic.online is None or not self.serving:
            return "off", "not connected"
        if clinic.name in self.silent:
            return "silent", self.silent[clinic.name]
        return "done", f"since {moment(clinic.online)}"


def overview(record: Record, folder: Path, unseen: Collection[str]) -> Overview:
    """Collect it.

    Args:
        record: the federation's database.
        folder: of the federation.
        unseen: names of the clinics that have never connected.
    """
    settings, known, runs = load_settings(folder), list_clinics(record), list_runs(record)
    enrolled = [clinic for clinic in known if clinic.revoked is None]
    return Overview(
        federation=settings.federation,
        address=settings.address,
        ca_fingerprint=authority_fingerprint(folder / TRUST),
        serving=is_locked(folder),
        clinics=enrolled,
        silent={name: silence_words(since) for name, since in list_silences(record).items()},
        pending=[(clinic, fingerprint(clinic.key)) for clinic in enrolled if clinic.name in unseen],
        revoked=[clinic for clinic in known if clinic.revoked is not None],
        runs=[RunLine(run, read_last_round(record, run.number)) for run in reversed(runs)],
        current=current_run(runs),
    )
