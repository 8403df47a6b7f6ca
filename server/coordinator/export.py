"""Export a checkpoint of a federation's run as a model file for ``fl-client`` and Keras."""

from __future__ import annotations

from pathlib import Path

from dermafed.server.coordinator.federation_folder import RUNS
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_answers
from dermafed.server.record.runs_table import Run
from dermafed.server.rounds.checkpoint import RunState, load_best, load_state
from dermafed.server.rounds.first_weights import START_FILE, read_first_weights
from dermafed.server.rounds.run_calibration import load_run_calibration
from dermafed.server.rounds.run_finder import load_run_finder
from dermafed.shared.errors import SettingsError
from dermafed.shared.lesion_finder.finder_file import finder_file, save_finder
from dermafed.shared.metrics.calibration.calibration_file import calibration_files, save_calibration
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.protocol.agreement import Decision
from dermafed.shared.protocol.offer import Offer


def export_model(record: Record, run: Run, round: str, file: Path) -> ModelInfo:
    """Write a round's model and its ``model.json``, and its calibration and lesion finder if it has them.

    Args:
        record: of the federation.
        run: one of its runs.
        round: a number, ``best`` or ``last``.
        file: new, ``.keras``.

    Returns:
        The content of ``model.json``.

    Raises:
        InputError: the file is in use or of another kind, or the round is not saved.
        FederationError: the run has no model that can be read.
    """
    _check_free(file)
    folder = record.path.parent / RUNS / run.folder_name
    state = _state(folder, round)
    info = model_info(record, run, folder, state)
    from dermafed.shared.model.model_file import save_model

    save_model(file, state.weights, info)
    calibration = load_run_calibration(folder)
    if calibration is not None and calibration.model == weights_digest(state.weights):
        save_calibration(file, calibration)
    finder, _ = load_run_finder(folder) or (None, {})
    if finder is not None and finder.model == weights_digest(state.weights):
        save_finder(file, finder)
    return info


def model_info(record: Record, run: Run, folder: Path, state: RunState) -> ModelInfo:
    """The description of a run's model.

    Args:
        record: the federation's database.
        run: one of its runs.
        folder: the run's folder.
        state: the state with the model.

    Raises:
        FederationError: the run's first weights cannot be read.
    """
    offer = Offer.from_text(run.offer)
    joined = [
        name
        for name, answer in list_answers(record, run.number).items()
        if answer.decision == Decision.APPROVED
    ]
    counts = dict(zip(offer.model.classes, run.class_counts or (), strict=False))
    return ModelInfo(
        offer.model,
        offer.preprocess,
        read_first_weights(folder / START_FILE).origin,
        state.round,
        labels=dict(offer.labels),
        data={"federated_run": run.name, "offer": run.hash, "clinics": joined, "training_images": counts},
    )


def _state(folder: Path, round: str) -> RunState:
    if round in ("best", "last"):
        return load_best(folder) if round == "best" else load_state(folder)
    if not (round.isascii() and round.isdigit()):
        raise SettingsError(f"'{round}' is not a round", where="ROUND", remedy="Give a number, best or last")
    saved = sorted(int(path.stem.removeprefix("round-")) for path in folder.glob("round-*.npz"))
    if int(round) not in saved:
        raise SettingsError(
            f"Round {int(round)} is not saved",
            where=folder,
            remedy=f"Choose one of {', '.join(map(str, saved)) or 'those of a run that has started'}",
        )
    return load_state(folder, int(round))


def _check_free(file: Path) -> None:
    if file.suffix != ".keras":
        raise SettingsError("The model file does not end in .keras", where=file, remedy="Name it so")
    for path in (file, file.with_suffix(".json"), *calibration_files(file), finder_file(file)):
        if path.exists():
            raise SettingsError("There is a file of this name", where=path, remedy="Choose another")
    if not file.absolute().parent.is_dir():
        raise SettingsError("The folder does not exist", where=file.parent, remedy="Make it first")
