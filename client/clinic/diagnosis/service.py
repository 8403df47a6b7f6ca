"""The one way from a received image to a kept diagnosis, for the page, the API, DICOM and MQTT alike."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis
from dermafed.client.clinic.diagnosis.keeping import Keeping
from dermafed.client.clinic.diagnosis.picture_encoding import encode_photograph
from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.explain.explanation import Explanation
from dermafed.shared.metrics.calibration.calibration import Calibration, softmax

_ENCODERS = 2
_HEATMAPS = 64  # kept in memory: 200 kB each


class DiagnosticService:
    """Diagnoses what comes in, and keeps it before it is answered. Any thread may call it."""

    def __init__(self, diagnoser: Diagnoser, store: Keeping, calibration: Calibration | None = None) -> None:
        """Puts the parts together.

        Args:
            diagnoser: the model.
            store: where diagnoses are kept.
            trust: what is known of the model's numbers, if it was measured.
        """
        self.diagnoser, self.store, self.calibration = diagnoser, store, calibration
        self._encoder = ThreadPoolExecutor(_ENCODERS, "photographs")
        self._heatmaps = lru_cache(_HEATMAPS)(self._explain)

    def diagnose(self, received: Received, device: str, request: str | None = None) -> Diagnosis:
        """The diagnosis of an image; on the disk when this returns.

        Args:
            received: the image.
            device: who sent it.
            request: the sender's own name of this request; its repetition gets the same diagnosis.

        Raises:
            Refused: the sender has used the request's name for another image (409).
            StorageError: it could not be kept, so there is no diagnosis.
        """
        kept = None if request is None else self.store.find(device, request)
        if kept is None:
            # The photograph is encoded while the network works: it takes as long as the network.
            photograph = self._encoder.submit(encode_photograph, received.image)
            said, prepared = judge(self.diagnoser, self.calibration, received, device, request)
            kept = self.store.keep(said, received, prepared, photograph.result())
        if kept.image_sha256 != received.sha256:
            raise Refused(
                "request-reused",
                "The request's name was used for another image",
                where="request",
                remedy="Give each request a name of its own",
            )
        return kept

    def heatmap(self, id: str, target: str | None = None, against: str | None = None) -> Explanation:
        """What moved the score of a class, by default the predicted one; see :meth:`Diagnoser.explain`.

        Raises:
            Refused: there is no such diagnosis (404), or its image is no longer kept (410).
            SettingsError: there is no such class.
        """
        self.store.prepared(id)  # a heatmap in memory must not outlive what the store has forgotten
        return self._heatmaps(id, target, against)

    def _explain(self, id: str, target: str | None, against: str | None) -> Explanation:
        return self.diagnoser.explain(self.store.prepared(id), target, against)


def judge(
    diagnoser: Diagnoser,
    calibration: Calibration | None,
    received: Received,
    device: str,
    request: str | None = None,
) -> tuple[Diagnosis, NDArray[np.uint8]]:
    """What the model says of an image; nothing is kept.

    Returns:
        The diagnosis, and what the network saw, RGB uint8 (S, S, 3).
    """
    start, classes = time.perf_counter(), diagnoser.classes
    looked = diagnoser.look(received.image, received.clinical)
    seconds = time.perf_counter() - start
    scores = softmax(looked.logits) if calibration is None else calibration.probabilities(looked.logits)
    outside = (
        None if calibration is None else calibration.out_of_distribution_score(looked.logits, looked.features)
    )
    said = Diagnosis(
        id=uuid.uuid4().hex,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        device=device,
        request=request,
        image_sha256=received.sha256,
        clinical=received.clinical,
        probabilities=dict(zip(classes, map(float, scores), strict=True)),
        prediction=classes[int(scores.argmax())],
        unsure=None if calibration is None else calibration.unsure(scores),
        outside=None
        if calibration is None or outside is None
        else calibration.is_out_of_distribution(outside),
        outside_score=outside,
        cautions=received.cautions,
        model=diagnoser.model.used,
        seconds=round(seconds, 4),
    )
    return said, looked.prepared
