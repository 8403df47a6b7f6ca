"""From an image to the nearest confirmed cases of the clinic, for the command and the page alike."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.language.speech import N_
from dermafed.client.clinic.similar.case_index import Case, load_index
from dermafed.client.clinic.similar.nearest import NearestCases, Neighbour
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.model.image_features import features_network
from dermafed.shared.model.metadata import encode_metadata

NOTE = N_("Confirmed cases of this clinic that are most alike to the model. Not a vote, no diagnosis.")
NONE = N_("There is no index of this clinic's cases for this model. Make it with fl-client similar")


class SimilarCases:
    """Searches the cases of a clinic; any thread may call it.

    The index is read again whenever its file changes; while there is none for the model, nothing is found.
    """

    def __init__(self, model: OpenedModel, path: Path) -> None:
        """Nothing is read yet.

        Args:
            model: that diagnoses.
            path: the index of the clinic's cases.
        """
        self._model, self._path = model, path
        self._network = features_network(model.classifier)
        self._lock = threading.Lock()
        self._read: tuple[int, int] | None = None
        self._nearest: NearestCases | None = None
        self._cases: dict[str, Case] = {}

    def find(
        self, prepared: NDArray[np.uint8], clinical: Clinical, without: Sequence[str] = ()
    ) -> list[Neighbour] | None:
        """The nearest cases, the nearest first; ``None`` if there is no index for this model.

        Args:
            prepared: what the network sees, RGB uint8 (S, S, 3).
            clinical: used where the model was trained with metadata.
            without: ids or SHA-256 of the image itself: its lesion is left out.
        """
        with self._lock:
            self._refresh()
            if self._nearest is None:
                return None
            return self._nearest.find(self._features(prepared, clinical), without=without)

    def case(self, sha256: str) -> Case | None:
        """The case of an image file, by its digest; ``None`` if the index has none."""
        with self._lock:
            self._refresh()
            return self._cases.get(sha256)

    def _features(self, prepared: NDArray[np.uint8], clinical: Clinical) -> NDArray[np.float32]:
        inputs: Any = prepared[None].astype(np.float32)
        if self._model.card.model.metadata:
            record = LesionRecord(
                "", self._path, "", age=clinical.age, sex=clinical.sex, body_site=clinical.site
            )
            inputs = [inputs, encode_metadata([record])]
        return np.asarray(self._network.predict_on_batch(inputs)[0], np.float32)

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            now = (status.st_ino, status.st_mtime_ns)
        except OSError:
            now = None
        if now == self._read:
            return
        index = None if now is None else load_index(self._path, self._model.used.sha256)
        self._read = now
        classes = self._model.card.model.classes
        self._nearest = NearestCases(index, classes) if index is not None and index.cases else None
        self._cases = {} if index is None else {case.sha256: case for case in index.cases}
