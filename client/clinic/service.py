"""From a received image to a saved diagnosis, for the page, the API, DICOM and MQTT alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dermafed.client.clinic.answers.other_model import words_of_map
from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser, diagnose_image
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.client.clinic.similar.nearest import Neighbour
from dermafed.client.clinic.similar.similar_cases import SimilarCases
from dermafed.client.clinic.store.diagnoses import encode_photograph
from dermafed.client.clinic.store.store import Store
from dermafed.shared.explain.explainer import Explanation
from dermafed.shared.explain.overlay import blend
from dermafed.shared.imaging.decoding import decode_image, read_bytes
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.metrics.calibration.calibration import Calibration
from dermafed.shared.process import cores

Kind = Literal["sc", "sr", "seg"]
"""The kind of a DICOM answer: Secondary Capture, structured report, segmentation."""

_ENCODERS = 2
_HEATMAPS = 64  # in memory: 200 kB each


class DiagnosticService:
    """Diagnoses images, and saves each diagnosis before it is answered. Any thread may call it."""

    def __init__(
        self,
        diagnoser: Diagnoser,
        store: Store,
        calibration: Calibration | None = None,
        similar: SimilarCases | None = None,
    ) -> None:
        """Combine a model and a store.

        Args:
            diagnoser: the model.
            store: of the clinic.
            calibration: of the model, if it was fitted.
            similar: searches the clinic's cases by the same model.
        """
        self.diagnoser, self.store, self.calibration = diagnoser, store, calibration
        self.similar = similar
        self._encoder = ThreadPoolExecutor(_ENCODERS, "photographs")
        self._heatmaps = lru_cache(_HEATMAPS)(self._explain)

    def diagnose(
        self, received: Received, device: str, request: str | None = None, *, uploaded: bool = False
    ) -> Diagnosis:
        """The diagnosis of an image; on the disk when this returns.

        Args:
            received: the image.
            device: who sent it.
            request: the sender's own name of this request; its repetition gets the same diagnosis.
            uploaded: whether the sender is a clinician.

        Raises:
            Refused: the sender has used the request's name for another image (409).
            StorageError: it cannot be saved, so there is no diagnosis.
        """
        saved = None if request is None else self.store.find_request(device, request)
        if saved is None:
            # The photograph is encoded while the network works: it takes as long as the network.
            photograph = self._encoder.submit(encode_photograph, received.image)
            diagnosis, prepared = diagnose_image(self.diagnoser, self.calibration, received, device, request)
            diagnosis = replace(diagnosis, uploaded=uploaded)
            saved = self.store.save(diagnosis, received, prepared, photograph.result())
        if saved.image_sha256 != received.sha256:
            raise Refused(
                "request-reused",
                "The request's name was used for another image",
                where="request",
                remedy="Give each request a name of its own",
            )
        return saved

    def heatmap(
        self, id: str, target: str | None = None, against: str | None = None, method: str | None = None
    ) -> Explanation:
        """What moved the score of a class, by default the predicted one; see :meth:`Diagnoser.explain`.

        It is of the model in use, whichever made the diagnosis.

        Raises:
            Refused: there is no such diagnosis (404), its image has expired (410), or the model in use does
                not know the predicted class (400).
            SettingsError: there is no such class or method.
        """
        self.store.load_prepared(id)  # a heatmap in memory must not outlive what the store has forgotten
        predicted = self.store.load(id).prediction
        if target is None and predicted not in self.diagnoser.classes:
            what = f"The model in use does not know {predicted}"
            remedy = f"Ask for the heatmap of one of {', '.join(self.diagnoser.classes)}"
            raise Refused("class-unknown", what, where="class", remedy=remedy)
        return self._heatmaps(id, target or predicted, against, method)

    def prepared(self, id: str) -> NDArray[np.uint8]:
        """The image of a diagnosis as the model in use sees it, RGB uint8 (S, S, 3).

        Another model may have made the diagnosis, and seen it otherwise.

        Raises:
            Refused: there is no such diagnosis (404), or its image has expired (410).
        """
        if self.store.load(id).model.sha256 == self.diagnoser.model.used.sha256:
            return self.store.load_prepared(id)
        return preprocess(self.store.load_image(id), self.diagnoser.model.card.preprocess, cores()).image

    def lesion_mask(self, id: str) -> NDArray[np.bool_]:
        """The lesion in the image as it came, bool (H, W).

        Raises:
            Refused: there is no such diagnosis, or no lesion was found in its image (404), or its image has
                expired (410).
        """
        lesion = self.store.load(id).lesion
        if lesion is None or lesion.measures is None:
            raise Refused("unknown", "No lesion was found in this image", remedy="Ask for another answer")
        return lesion.mask(*self.store.load_image(id).shape[:2])

    def dicom_kinds(self, id: str) -> tuple[Kind, ...]:
        """The kinds of DICOM answers that a diagnosis has; Refused (404) where there is none.

        A segmentation has to name its image, so there is one only where that came as DICOM.
        """
        from dermafed.client.clinic.answers.dicom_source import has_image, source_of

        diagnosis, reference = self.store.load(id), self.store.load_reference(id)
        found = diagnosis.lesion is not None and diagnosis.lesion.measures is not None
        return ("sc", "sr", "seg") if found and has_image(source_of(diagnosis, reference)) else ("sc", "sr")

    def similar_cases(self, id: str) -> list[Neighbour] | None:
        """The nearest cases of the clinic, of other lesions; ``None`` if there is no index for the model.

        Raises:
            Refused: there is no such diagnosis (404), or its image has expired (410).
        """
        diagnosis, prepared = self.store.load(id), self.prepared(id)
        if self.similar is None:
            return None
        return self.similar.find(prepared, diagnosis.clinical, (id, diagnosis.image_sha256))

    def case_image(self, sha256: str) -> NDArray[np.uint8]:
        """The image of a case in the index, RGB uint8 (H, W, 3).

        Raises:
            Refused: there is no such case (404).
            ImageError: its file is gone.
        """
        case = None if self.similar is None else self.similar.case(sha256)
        if case is None:
            raise Refused("unknown", "There is no such case", remedy="Ask for the similar cases again")
        return decode_image(read_bytes(Path(case.path)), where=case.id)

    def dicom_answer(self, id: str, kind: Kind) -> Dataset:
        """A diagnosis as a DICOM object, in the study of its image.

        Raises:
            Refused: there is no such diagnosis or no such answer (404), or its image has expired (410).
        """
        from dermafed.client.clinic.answers.secondary_capture import secondary_capture
        from dermafed.client.clinic.answers.segmentation import segmentation
        from dermafed.client.clinic.answers.structured_report import structured_report

        diagnosis, reference = self.store.load(id), self.store.load_reference(id)
        if kind == "sr":
            return structured_report(diagnosis, reference)
        if kind not in self.dicom_kinds(id):
            what = "There is no segmentation: no lesion was found, or the image was no DICOM object"
            raise Refused("unknown", what, remedy="Ask for another kind of answer")
        if kind == "seg":
            return segmentation(diagnosis, self.lesion_mask(id), reference)
        found = self.heatmap(id)
        overlay = blend(self.prepared(id), found.heatmap, found.signed)
        words = words_of_map(found, diagnosis, self.diagnoser.model.used)
        return secondary_capture(diagnosis, overlay, reference, words)

    def _explain(self, id: str, target: str | None, against: str | None, method: str | None) -> Explanation:
        return self.diagnoser.explain(self.prepared(id), target, against, method)
