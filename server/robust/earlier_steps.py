"""The steps of earlier rounds, in short: a clinic that sends an old update again, or the server's own step.

Each is a sketch of 512 values by a seed of the run that clinics do not know. A file in the run's folder has
those of the last rounds, so that a resumed run finds what the run without a break would have found.
"""

from __future__ import annotations

import io
import logging
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dermafed.server.robust.sketch import Floats, Sketches
from dermafed.shared.storage.atomic_files import write_atomically

EARLIER_FILE = "earlier-steps.npz"
SIZE = 512
ROUNDS = 32
"""How many rounds are remembered."""

SAME = 0.05
"""Two directions whose difference is shorter are the same: an angle of 2.9 degrees."""

log = logging.getLogger("dermafed.server")


@dataclass
class EarlierSteps:
    """What the clinics of a run sent before.

    Attributes:
        path: the file.
        parameters: length P of the model's vector.
        seed: of the sketches.
        starts: sketch of the model at the start of each round.
        steps: sketch of each clinic's step, by round and clinic.
    """

    path: Path
    parameters: int
    seed: bytes
    starts: dict[int, Floats] = field(default_factory=dict)
    steps: dict[tuple[int, str], Floats] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, parameters: int, before: int) -> EarlierSteps:
        """Those of the rounds before one, from the run's folder; of a new run there are none."""
        path = folder / EARLIER_FILE
        new = cls(path, parameters, secrets.token_bytes(16))
        if not path.exists():
            return new
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            starts = dict(zip(map(int, arrays["rounds"]), arrays["starts"], strict=True))
            keys = [(int(number), str(clinic)) for number, clinic in arrays["clinics"]]
            steps = dict(zip(keys, arrays["steps"], strict=True))
            seed = arrays["seed"].tobytes()
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            log.warning(
                "%s cannot be read (%s): earlier steps are forgotten", path.name, type(error).__name__
            )
            return new
        known = {number: one for number, one in starts.items() if before - ROUNDS <= number < before}
        return cls(path, parameters, seed, known, {key: one for key, one in steps.items() if key[0] in known})

    def sketch(self, vector: Floats) -> Floats:
        """The sketch of a vector, float64 (P,)."""
        sketches = Sketches(1, self.parameters, self.seed, SIZE)
        sketches.add(0, vector[None])
        found: Floats = sketches.values[0]
        return found

    def find(self, clinic: str, step: Floats, start: Floats) -> str:
        """Which earlier step a clinic's is, in words; empty if it is none.

        Args:
            clinic: its name.
            step: sketch of its step.
            start: sketch of the model that it started from.
        """
        for (number, name), earlier in self.steps.items():
            if name == clinic and _same(step, earlier):
                return f"its step is that of round {number} again"
            if name == clinic and _same(step, self.starts[number] + earlier - start):
                return f"its model is that of round {number} again"
        later = {number - 1: one for number, one in self.starts.items()} | {
            max(self.starts, default=0): start
        }
        for number, before in self.starts.items():
            if _same(step, before - start):
                return f"its model is the one that round {number} started from"
            if number in later and _same(step, later[number] - before):
                return f"its step is the one that the model took in round {number}"
        return ""

    def save(self, number: int, start: Floats, steps: dict[str, Floats]) -> None:
        """Add a round, and write all of them.

        Raises:
            StorageError: the disk is full or the folder cannot be written.
        """
        starts = self.starts | {number: start}
        known = self.steps | {(number, clinic): step for clinic, step in steps.items()}
        file = io.BytesIO()
        np.savez(
            file,
            seed=np.frombuffer(self.seed, np.uint8),
            rounds=np.array(list(starts)),
            starts=np.array(list(starts.values())),
            clinics=np.array([(str(round), clinic) for round, clinic in known], dtype=np.str_).reshape(-1, 2),
            steps=np.array(list(known.values())).reshape(len(known), -1),
        )
        write_atomically(self.path, file.getvalue())


def _same(one: Floats, other: Floats) -> bool:
    """Whether two steps have the same direction."""
    lengths = np.linalg.norm(one), np.linalg.norm(other)
    return all(lengths) and float(np.linalg.norm(one / lengths[0] - other / lengths[1])) < SAME
