"""Save and load a lesion finder: ``MODEL.finder.json``, beside the model that it belongs to."""

from __future__ import annotations

import json
from pathlib import Path

from dermafed.shared.errors import FederationError, ModelError
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.storage.atomic_files import write_json

_REMEDY = "Copy the finder from the same run as the model, or remove it: the model works without it"


def finder_file(model: Path) -> Path:
    """The file of a model's finder: of ``model.keras``, ``model.finder.json``."""
    return model.with_suffix(".finder.json")


def save_finder(model: Path, finder: LesionFinder) -> None:
    """Write a finder beside its model, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    write_json(finder_file(model), finder.to_document())


def load_finder(model: Path, sha256: str) -> LesionFinder | None:
    """The finder beside a model; ``None`` where there is none.

    Args:
        model: the model's file.
        sha256: of its weights, see :func:`dermafed.shared.model.weights_digest.weights_digest`.

    Raises:
        ModelError: the file is damaged, or belongs to another model.
    """
    path = finder_file(model)
    if not path.exists():
        return None
    try:
        finder = LesionFinder.from_document(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, AttributeError, FederationError) as error:
        raise ModelError("The model's lesion finder cannot be read", where=path, remedy=_REMEDY) from error
    if finder.model != sha256:
        raise ModelError("The lesion finder belongs to another model", where=path, remedy=_REMEDY)
    return finder
