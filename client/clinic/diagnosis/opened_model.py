"""The model that a clinic diagnoses with: a saved one, or one that its node took home from a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.node.home import Home
from dermafed.client.node.saved_models import SavedModel, list_saved_models
from dermafed.shared.errors import ModelError
from dermafed.shared.metrics.calibration.calibration import weights_digest
from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo


@dataclass(frozen=True, slots=True, eq=False)
class OpenedModel:
    """A model, ready for use.

    Attributes:
        classifier: see :func:`dermafed.shared.model.classifier.build_classifier`.
        card: how images are prepared for it, and where it comes from.
        used: its name in every answer.
        file: what its trust file lies beside: ``FILE.trust.json``.
    """

    classifier: keras.Model
    card: ModelInfo
    used: ModelUsed
    file: Path


def open_model(model: str, home: Home | None = None) -> OpenedModel:
    """Opens a model file, or a model that the clinic's node has kept.

    Args:
        model: a ``.keras`` file with its card beside it; or a kept model's name, its run's, or ``last``.
        home: the clinic's folder, for the kept ones.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    if model.endswith(".keras") or home is None:
        path = Path(model)
        classifier, card = load_model(path)
        return _opened(
            classifier, card, path.stem if path.stem != "model" else path.absolute().parent.name, path
        )
    kept = _kept(model, home)
    classifier = build_classifier(kept.card.model)
    set_flat(classifier, kept.weights())
    return _opened(classifier, kept.card, kept.name, kept.folder / "model")


def _opened(classifier: keras.Model, card: ModelInfo, name: str, file: Path) -> OpenedModel:
    digest = weights_digest(to_flat(classifier))
    return OpenedModel(classifier, card, ModelUsed(name, card.round, digest), file)


def _kept(name: str, home: Home) -> SavedModel:
    kept = list_saved_models(home.models)
    found = [each for each in kept if name in (each.name, each.name.rpartition("-")[0])]
    if name == "last" and kept:
        found = [max(kept, key=lambda each: each.folder.joinpath("model.json").stat().st_mtime)]
    if not found:
        names = ", ".join(each.name for each in kept) or "none"
        raise ModelError(
            f"There is no model '{name}'",
            where=home.models,
            remedy=f"Give a .keras file, or one of those kept: {names}",
        )
    if len(found) > 1:
        raise ModelError(
            f"There are several models '{name}'",
            where=home.models,
            remedy=f"Name one of {', '.join(each.name for each in found)}",
        )
    return found[0]
