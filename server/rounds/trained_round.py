"""A round between its training and its evaluation, on disk: a clinic evaluates one model a round.

So a run that resumes there goes on with the model that clinics may have evaluated already.
"""

from __future__ import annotations

import io
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dermafed.server.rounds.checkpoint import UNREADABLE, RunState
from dermafed.server.rounds.clinic_round import ClinicRound
from dermafed.server.rounds.exchange import Participation
from dermafed.server.rounds.strategies import State
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.shared.training.trainer import FloatVector

TRAINED_FILE = "trained.npz"

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class TrainedRound:
    """A round that is trained, but not evaluated.

    Attributes:
        weights: the model after the strategy's step, float32 (P,).
        memory: the strategy's state.
        loss: the mean training loss.
        clinics: each clinic's part in it, by name.
        participation: who took part in the training.
    """

    weights: FloatVector
    memory: State
    loss: float
    clinics: dict[str, ClinicRound]
    participation: Participation


def save_trained(folder: Path, before: RunState, trained: TrainedRound) -> None:
    """Write a round in place of the one before.

    Args:
        folder: the run's folder.
        before: the state that the round started from.
        trained: the round.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    record = {
        "start": _start(before),
        "loss": trained.loss,
        "clinics": [asdict(clinic) for clinic in trained.clinics.values()],
        "participation": asdict(trained.participation),
    }
    memory = {f"memory_{name}": values for name, values in trained.memory.items()}
    file = io.BytesIO()
    np.savez(file, record=np.array(json.dumps(record)), weights=trained.weights, **memory)  # type: ignore[arg-type]
    write_atomically(folder / TRAINED_FILE, file.getvalue())


def load_trained(folder: Path, before: RunState) -> TrainedRound | None:
    """The round that started from this state, if it was trained."""
    path = folder / TRAINED_FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(str(arrays.pop("record")))
        clinics = {values["clinic"]: ClinicRound(**values) for values in record["clinics"]}
        participation = Participation(**record["participation"])
        weights = arrays.pop("weights")
    except UNREADABLE as error:
        log.warning("%s cannot be read (%s)", path.name, type(error).__name__)
        return None
    if record["start"] != _start(before):
        return None
    memory = {name.removeprefix("memory_"): values for name, values in arrays.items()}
    return TrainedRound(weights, memory, record["loss"], clinics, participation)


def _start(before: RunState) -> str:
    return f"{before.round} {weights_digest(before.weights)}"
