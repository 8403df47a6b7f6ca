"""Open the model that a clinic diagnoses with: a file, or a model that its node saved from a run."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import keras

from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import SavedModel, list_saved_models
from dermafed.shared.errors import ModelError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import load_finder
from dermafed.shared.lesions.clinic_split import SPLIT_FILE, read_clinic_split
from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.weights_digest import weights_digest


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """A model, ready for use.

    Attributes:
        classifier: see :func:`dermafed.shared.model.classifier.build_classifier`.
        card: how images are prepared for it, and where it comes from.
        used: how every answer names it.
        file: its calibration lies beside it: ``FILE.trust.json``.
        finder: of lesions, where the model has one.
    """

    classifier: keras.Model
    card: ModelInfo
    used: ModelUsed
    file: Path
    finder: LesionFinder | None = None


def open_model(model: str, home: Home | None = None) -> OpenedModel:
    """Opens a model file, or a model that the clinic's node has saved.

    Args:
        model: a ``.keras`` file with its card beside it; or a saved model's name, its run's, or ``last``.
        home: the clinic's folder, for the saved ones.

    Raises:
        ModelError: there is no such model, or it or its lesion finder is damaged.
    """
    if model.endswith(".keras") or home is None:
        path = Path(model)
        classifier, card = load_model(path)
        name = path.stem if path.stem != "model" else path.absolute().parent.name
        return _opened(classifier, _marked(card, _simulated_on_drawn(path)), name, path)
    saved = _find_saved(model, home)
    classifier = build_classifier(saved.card.model)
    set_flat(classifier, saved.own_weights())
    card = _marked(saved.card, _trained_on_drawn(saved, home))
    return _opened(classifier, card, saved.name, saved.folder / "model")


def _opened(classifier: keras.Model, card: ModelInfo, name: str, file: Path) -> OpenedModel:
    digest = weights_digest(to_flat(classifier))
    used = ModelUsed(name, card.round, digest)
    return OpenedModel(classifier, card, used, file, load_finder(file, digest))


def _marked(card: ModelInfo, synthetic: bool) -> ModelInfo:
    return replace(card, data={**card.data, "synthetic": True}) if synthetic else card


def _simulated_on_drawn(file: Path) -> bool:
    """Whether the result beside a simulation's model says so; version 0.1.0 wrote it nowhere else."""
    try:
        settings = json.loads(file.with_name("result.json").read_text("utf-8"))["settings"]
        return bool(settings["data"] == "synthetic")
    except (OSError, ValueError, LookupError, TypeError):
        return False  # not the folder of a simulation


def _trained_on_drawn(saved: SavedModel, home: Home) -> bool:
    """Whether this clinic's own part in a run was of drawn images only; those of the others are not known."""
    tables = home.offers.glob(f"{saved.name.rpartition('-')[2]}*/site/*/{SPLIT_FILE}")
    splits = [read_clinic_split(table.parent).splits for table in tables]
    records = [record for each in splits for side in each.sides().values() for record in side]
    return bool(records) and all(record.drawn for record in records)


def _find_saved(name: str, home: Home) -> SavedModel:
    saved = list_saved_models(home.models)
    found = [each for each in saved if name in (each.name, each.name.rpartition("-")[0])]
    if name == "last" and saved:
        found = [max(saved, key=lambda each: each.folder.joinpath("model.json").stat().st_mtime)]
    if not found:
        names = ", ".join(each.name for each in saved) or "none"
        raise ModelError(
            f"There is no model '{name}'",
            where=home.models,
            remedy=f"Give a .keras file, or one of the saved models: {names}",
        )
    if len(found) > 1:
        raise ModelError(
            f"There are several models '{name}'",
            where=home.models,
            remedy=f"Name one of {', '.join(each.name for each in found)}",
        )
    return found[0]
