"""The last global model of each run, saved at the clinic: its weights, and what it is, beside them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dermafed.shared.errors import ModelError
from dermafed.shared.lesion_finder.finder_file import finder_file
from dermafed.shared.metrics.calibration.calibration_file import calibration_files
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.storage.atomic_files import make_folder, write_private
from dermafed.shared.training.trainer import FloatVector

MODEL = "model"
"""The stem of the names of the files beside a saved model's weights."""

_WEIGHTS, _OWN, _CARD = "weights.npy", "own-weights.npy", f"{MODEL}.json"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A run's last global model.

    Attributes:
        name: the folder's name: the plan's name and the start of its hash.
        folder: where the model is.
        card: how to use it.
    """

    name: str
    folder: Path
    card: ModelInfo

    def weights(self) -> FloatVector:
        """The global model's weights, float32 (P,).

        Raises:
            ModelError: the file cannot be read.
        """
        return self._read(self.folder / _WEIGHTS)

    def own_weights(self) -> FloatVector:
        """The same with the clinic's own last layer, if it has one: what the clinic uses, and calibrated.

        Raises:
            ModelError: the file cannot be read.
        """
        own = self.folder / _OWN
        return self._read(own) if own.exists() else self.weights()

    def save_own(self, weights: FloatVector) -> None:
        """Save the weights with the clinic's own last layer, float32 (P,)."""
        write_private(self.folder / _OWN, _content(weights))

    def _read(self, path: Path) -> FloatVector:
        try:
            return np.asarray(np.load(path, allow_pickle=False), np.float32)
        except (OSError, ValueError, EOFError) as error:
            raise ModelError(
                "The weights cannot be read", where=path, remedy="Wait for the next round"
            ) from error


def save_last_model(folder: Path, hash: str, offer: Offer, weights: FloatVector, round: int) -> None:
    """Save a run's global model in place of the round before, and remove what was fitted to that one."""
    own = folder / _name(hash, offer)
    make_folder(own)
    for path in (own / _OWN, *calibration_files(own / MODEL), finder_file(own / MODEL)):
        path.unlink(missing_ok=True)
    write_private(own / _WEIGHTS, _content(weights))
    card = ModelInfo(offer.model, offer.preprocess, f"federated run {offer.name}", round, dict(offer.labels))
    write_private(own / _CARD, json.dumps(card.to_dict(), indent=2).encode())


def _content(weights: FloatVector) -> bytes:
    content = io.BytesIO()
    np.save(content, weights)
    return content.getvalue()


def list_saved_models(folder: Path) -> list[SavedModel]:
    """The last global model of every run, by name; what cannot be read is left out."""
    found = []
    for path in sorted(folder.glob(f"*/{_CARD}")):
        try:
            card = ModelInfo.from_dict(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, LookupError, TypeError, ModelError):
            continue
        found.append(SavedModel(path.parent.name, path.parent, card))
    return found


def find_saved_model(folder: Path, hash: str, offer: Offer) -> SavedModel | None:
    """The last global model of a run, if one is saved."""
    return next((model for model in list_saved_models(folder) if model.name == _name(hash, offer)), None)


def _name(hash: str, offer: Offer) -> str:
    return f"{_file_name(offer.name)}-{hash[:8]}"


def _file_name(name: str) -> str:
    """A name that came from elsewhere, as a valid file name."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:40] or "run"
