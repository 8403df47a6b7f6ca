"""What each defence costs, and what two attacks on patients achieve against it, in one table.

Both attacks are on the training of the last layer, on features that stay as they are: a row that trains more
than that has no figures of them, and gives away more. A robust rule, which compares single updates, hides
nothing from the server. The attacked patients are those of the clinic with the fewest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.server.rounds.checkpoint import federated_folder
from dermafed.server.rounds.history import read_history
from dermafed.shared.protocol.private_plan import noise_of
from dermafed.shared.storage.atomic_files import write_atomically
from dermafed.simulation.attacks.exposure import Exposure, Floats
from dermafed.simulation.attacks.inversion import pictures_by_features, recover
from dermafed.simulation.attacks.membership import FALSE, infer_membership
from dermafed.simulation.attacks.patients import Patients, Source, save_patients
from dermafed.simulation.attacks.similarity import structural_similarity
from dermafed.simulation.runs.processes import run_in_processes
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.cost import megabytes_a_round
from dermafed.simulation.studies.markdown_table import heading, markdown_table
from dermafed.simulation.studies.picture_rows import picture_rows
from dermafed.simulation.studies.study_runs import StudyRun, clinic_folders
from dermafed.simulation.studies.summary import cell, over_seeds

Line = dict[str, Any]

GUESSING = "guessing"
"""The defence under which the attacker sees nothing: the mean picture, and a coin."""

VICTIMS, PUBLIC = 32, 600
"""Reconstructed images of the attacked clinic; images that the server has."""

SHOWN = 8

ALL_BLOCKS = 7


def analyse(runs: Sequence[StudyRun], folder: Path) -> list[Line]:
    """Writes ``privacy.md`` and ``inversion.webp`` into a study's folder."""
    rows: dict[str, list[StudyRun]] = {}
    for run in runs:
        rows.setdefault(run.row, []).append(run)
    attacks = Attacks(_patients(runs, folder))
    lines = [line for row, own in rows.items() for line in _lines(row, own, attacks)] + attacks.guessing()
    write_atomically(folder / "privacy.md", markdown(lines).encode())
    write_atomically(folder / "inversion.webp", picture_rows(attacks.shown))
    return lines


def exposure_of(settings: RunSettings) -> Exposure | None:
    """What the server sees of a run's training; ``None`` where more than the last layer is trained."""
    if settings.dp is not None:
        noise = noise_of(settings.dp, settings, settings.rounds)
        return Exposure.private(settings.dp, noise, settings.learning_rate)
    return Exposure(settings.privacy().is_secure) if settings.frozen_blocks == ALL_BLOCKS else None


class Attacks:
    """Both attacks on the patients of one clinic, each way of exposure once.

    Attributes:
        shown: reconstructed pictures of the first victims, by what the server sees.
    """

    def __init__(self, patients: Patients) -> None:
        self._patients, self._random = patients, np.random.default_rng(0)
        self._target = int(np.bincount(patients.clinics).argmin())
        own, others = (
            self._random.permutation(np.flatnonzero(side))
            for side in (patients.clinics == self._target, patients.clinics != self._target)
        )
        self._victims = own[:VICTIMS]
        self._known = np.concatenate([self._victims, others[:PUBLIC]])
        self._found: dict[Exposure, dict[str, float]] = {}
        self._truth: Floats = patients.pictures[self._victims]
        self.shown = {"the image": self._truth[:SHOWN]}

    def figures(self, row: str, how: Exposure) -> dict[str, float]:
        """Both attacks' figures where the server sees this, by name."""
        if how not in self._found:
            told = infer_membership(
                self._patients.features, self._patients.labels, self._patients.clinics, self._target, how
            )
            passed, own = self._inverted(how)
            self.shown |= {row: passed[:SHOWN], f"{row}: own features": own[:SHOWN]}
            self._found[how] = {
                "membership_advantage": told.advantage,
                "membership_auc": told.auc,
                "members_found": told.found,
                "ssim": self._likeness(passed),
                "ssim_of_features": self._likeness(own),
            }
        return self._found[how]

    def guessing(self) -> list[Line]:
        """The figures of who sees nothing."""
        mean = self._patients.pictures[self._known[len(self._victims) :]].mean(axis=0)
        guessed = {
            "membership_advantage": 0.0,
            "membership_auc": 0.5,
            "members_found": FALSE,
            "ssim": self._likeness(np.broadcast_to(mean, self._truth.shape)),
        }
        guessed["ssim_of_features"] = guessed["ssim"]
        return [_line(GUESSING, name, [value]) for name, value in guessed.items()]

    def _inverted(self, how: Exposure) -> tuple[Floats, Floats]:
        """The victims' pictures by a network that passes them on, and by the features of the run's own."""
        known, victims = self._known, np.arange(len(self._victims))
        pictures, labels = self._patients.pictures[known], self._patients.labels[known]
        features = self._patients.features[known].astype(np.float64)
        passed = recover(pictures.reshape(len(known), -1), labels, victims, how, self._random)
        found = recover(features, labels, victims, how, self._random)
        own = pictures_by_features(found, features[len(victims) :], pictures[len(victims) :])
        return np.clip(passed.reshape(self._truth.shape), 0, 1), np.clip(own, 0, 1)

    def _likeness(self, pictures: NDArray[np.float64]) -> float:
        return fmean(structural_similarity(*pair) for pair in zip(pictures, self._truth, strict=True))


def _patients(runs: Sequence[StudyRun], folder: Path) -> Patients:
    """The patients of the first run whose network trains the last layer alone."""
    path = folder / "patients.npz"
    if not path.exists():
        run = next(run for run in runs if exposure_of(run.settings) is not None)
        source = Source(run.settings, tuple(run.result()["classes"]), tuple(clinic_folders(run)), path)
        for _ in run_in_processes(save_patients, [source], processes=1):
            pass
    return Patients.load(path)


def _lines(row: str, runs: Sequence[StudyRun], attacks: Attacks) -> Iterator[Line]:
    """A line for each figure of a row: ``defence``, ``figure``, and its values as of :func:`over_seeds`."""
    tests = [run.result()["federated"] for run in runs]
    yield _line(row, "balanced_accuracy", [test["balanced_accuracy"] for test in tests])
    aucs = [test["test"]["per_class"].get("melanoma", {}).get("auc") for test in tests]
    if None not in aucs:
        yield _line(row, "melanoma_auc", aucs)
    how = exposure_of(runs[0].settings)
    for name, value in ({} if how is None else attacks.figures(row, how)).items():
        yield _line(row, name, [value])
    seconds = [one.seconds for run in runs for one in read_history(federated_folder(run.folder))]
    yield _line(row, "seconds", [fmean(seconds)])
    yield _line(row, "mb", [megabytes_a_round(runs[0])])


def _line(defence: str, figure: str, values: Sequence[float]) -> Line:
    return {"defence": defence, "figure": figure, **over_seeds(values)}


def markdown(lines: Sequence[Line]) -> str:
    """The lines as a Markdown table, a column for each figure."""
    figures = list(dict.fromkeys(line["figure"] for line in lines))
    table: dict[str, dict[str, str]] = {}
    for line in lines:
        table.setdefault(line["defence"], {})[line["figure"]] = cell(line)
    rows = [[defence, *(found.get(name, "") for name in figures)] for defence, found in table.items()]
    return f"# Privacy\n\n{markdown_table(['Defence', *map(heading, figures)], rows, names=1)}"
