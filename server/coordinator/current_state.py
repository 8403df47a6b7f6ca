"""The state of a federation at one moment, from its folder: for ``status`` and for the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dermafed.server.coordinator.federation_folder import RUNS
from dermafed.server.coordinator.run_shares import load_shares
from dermafed.server.record.clinics_table import list_clinics
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import ClinicAnswer, list_answers
from dermafed.server.record.runs_table import ACTIVE, Run, list_runs
from dermafed.server.record.silences_table import list_silences
from dermafed.server.record.suspensions_table import Suspension, list_suspensions
from dermafed.server.rounds.open_exchange import OpenExchange, load_exchange
from dermafed.shared.errors import InputError
from dermafed.shared.protocol.defence_words import defence_words
from dermafed.shared.protocol.offer import Offer


@dataclass(frozen=True, slots=True)
class ClinicState:
    """A clinic, and its part in a run.

    Attributes:
        name: unique.
        online: since when it is connected, UTC; ``None``: it is not, or the server does not run.
        answer: to the run's offer; ``None`` where it gave none.
        share: of the mean; ``None`` before the agreement.
        suspended: if no run asks it for the time being.
        silent: since when it counts as connected but is not heard, UTC; ``None``: it is heard.
    """

    name: str
    online: str | None = None
    answer: ClinicAnswer | None = None
    share: float | None = None
    suspended: Suspension | None = None
    silent: str | None = None


def current_run(runs: Sequence[Run]) -> Run | None:
    """The active run, or else the last; ``None`` without any."""
    return next((run for run in reversed(runs) if run.status in ACTIVE), runs[-1] if runs else None)


def find_current_run(record: Record) -> Run | None:
    """The active run of a federation, or else its last; ``None`` without any."""
    return current_run(list_runs(record))


def run_folder(folder: Path, run: Run) -> Path:
    """The folder of a run in a federation's folder."""
    return folder / RUNS / run.folder_name


def run_defences(run: Run) -> list[str]:
    """What protects clinics and patients in a run, in sentences; empty where this version cannot read it."""
    try:
        return defence_words(Offer.from_text(run.offer))
    except InputError:
        return []


def open_exchange(folder: Path, run: Run, *, serving: bool) -> OpenExchange | None:
    """What the run waits for at this moment; ``None`` while it is not being executed.

    Args:
        folder: of the federation.
        run: one of its runs.
        serving: whether the server runs.
    """
    return load_exchange(run_folder(folder, run)) if serving and run.status in ACTIVE else None


def clinic_states(record: Record, folder: Path, run: Run | None, *, serving: bool) -> list[ClinicState]:
    """The enrolled clinics in order, with their part in a run."""
    answers = list_answers(record, run.number) if run else {}
    shares = load_shares(run_folder(folder, run)) if run else {}
    suspended, silences = list_suspensions(record), list_silences(record) if serving else {}
    return [
        ClinicState(
            clinic.name,
            clinic.online if serving else None,
            answers.get(clinic.name),
            shares.get(clinic.name),
            suspended.get(clinic.name),
            silences.get(clinic.name),
        )
        for clinic in list_clinics(record, revoked=False)
    ]
