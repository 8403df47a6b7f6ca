"""A federation's folder in the middle of a run, as the server writes it; nothing is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from dermafed.server.coordinator.federation_folder import RECORD, RUNS, TRUST, ServerSettings, save_settings
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.coordinator.run_shares import save_shares
from dermafed.server.record.clinics_table import save_online
from dermafed.server.record.record_database import Record, now
from dermafed.server.record.rounds_table import save_answer, save_round
from dermafed.server.record.runs_table import (
    NewRun,
    Status,
    add_run,
    change_status,
    find_run,
    save_class_counts,
)
from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.first_weights import START_FILE
from dermafed.server.rounds.history import HistoryRow
from dermafed.server.rounds.open_exchange import OpenExchange, Traffic, Turn, save_exchange
from dermafed.server.rounds.shares import Member
from dermafed.shared.protocol.certificates import make_authority
from dermafed.shared.storage.atomic_files import make_private_folder
from tests.server.coordinator.runs_in_process import public_key

EVIL = "<script>document.title='taken'</script>"
PLAN = 'name = "{name}"\nrounds = {rounds}\nweights = "none"\n[model]\nimage_size = {pixels}\n'


@dataclass(frozen=True)
class Federation:
    """A folder and its record."""

    folder: Path
    record: Record


def federation(folder: Path, clinics: list[str]) -> Federation:
    """A folder with these clinics, all of which are connected but the last two."""
    for each in (folder, folder / RUNS):
        make_private_folder(each)
    make_authority(folder / TRUST, "alps")
    record = Record.create(folder / RECORD)
    save_settings(folder, ServerSettings("alps", ("derma.example.org",)))
    keys = [(name, public_key(number), now()) for number, name in enumerate(clinics)]
    with record.writing() as db:  # at once: a transaction for each of a hundred takes a while
        db.executemany("INSERT INTO clinics (name, key, enrolled) VALUES (?, ?, ?)", keys)
    save_online(record, clinics[:-2])
    return Federation(folder, record)


def add_example_run(
    at: Federation, name: str, clinics: list[str], *, rounds: int = 12, done: int = 8, pixels: int = 32
) -> int:
    """A run with finished rounds and all that its pages show; the first clinic has few images."""
    text = PLAN.format(name=name, rounds=rounds, pixels=pixels)
    offer = parse_plan(text, at.folder / "plan.toml").offer
    number = add_run(
        at.record,
        NewRun(name, text, at.folder / "plan.toml", clinics, offer.to_text(), offer.hash, rounds),
    )
    run = find_run(at.record, name)
    folder = at.folder / RUNS / run.folder_name
    make_private_folder(folder)
    with at.record.writing() as db:
        answers = [(number, clinic, "approved", "", now()) for clinic in clinics[:-1]]
        db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", answers)
    save_answer(at.record, number, clinics[-1], "refused", EVIL)
    members = {clinic: Member(10 + place, 10 + place) for place, clinic in enumerate(clinics[:-1])}
    save_shares(folder, members, 0.5)
    save_class_counts(at.record, number, (120, 300, 90))
    np.savez(folder / START_FILE, weights=np.zeros(10, np.float32), adapted=np.ones(10, bool), origin="none")
    history = tuple(_row(round, clinics[:-1]) for round in range(1, done + 1))
    for row in history:
        save_round(at.record, number, row)
    for round in (0, done - 1, done):
        save_state(folder, RunState(round, np.full(10, round, np.float32), {}, history[:round], {}))
    change_status(at.record, number, [Status.ASKED], Status.AGREEING)
    change_status(at.record, number, [Status.AGREEING], Status.RUNNING)
    return number


def open_training(at: Federation, run: str, clinics: list[str], *, round: int = 9) -> None:
    """The run waits: the first clinic failed, the second is late, the others have replied."""
    moment = datetime.now(UTC).replace(microsecond=0)
    asked, replied = (moment - timedelta(seconds=ago) for ago in (90, 60))
    turns = {name: Turn(asked.isoformat(), replied.isoformat()) for name in clinics[:-2]}
    turns[clinics[0]] = Turn(asked.isoformat(), replied.isoformat(), "training failed there (OSError)")
    turns[clinics[1]] = Turn(asked.isoformat())
    traffic = {name: Traffic(640_000_000, 320_000_000) for name in clinics[:-2]}
    folder = at.folder / RUNS / find_run(at.record, run).folder_name
    save_exchange(folder, OpenExchange("train", round, 1, 1800.0, turns, traffic))


def _row(round: int, clinics: list[str]) -> HistoryRow:
    score = 0.72 - 0.4 * math.exp(-round / 4)
    parts = tuple(
        ClinicRound(
            name,
            share=1 / len(clinics),
            norm=2.0,
            times_median=4.2 if (place, round) == (2, 3) else 1 + 0.1 * (place % 3),
            cosine=0.4,
            train_loss=1.1 * math.exp(-round / 6) + 0.03 * (place % 7),
            balanced_accuracy=score - 0.02 * (place % 9),
            images=math.nan if place == 0 else 40.0,
            melanoma_sensitivity=math.nan if place < 2 else score - 0.03 * (place % 5),
        )
        for place, name in enumerate(clinics)
    )
    left_out = f"{clinics[0]}: {EVIL}" if round == 2 else ""
    loss, replied = 1.1 * math.exp(-round / 6), len(clinics)
    return HistoryRow(round, loss, 0.9, 0.7, score, score + 0.15, replied, left_out, 42.0, 1.0, parts)
