"""A model that is loaded once: from pixels to probabilities, heatmaps and diagnoses."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, MissRate
from dermafed.client.clinic.diagnosis.lesion import Lesion, describe_lesion
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.errors import ModelError
from dermafed.shared.explain.explainer import Explainer, Explanation
from dermafed.shared.imaging.pipeline import preprocess
from dermafed.shared.lesion_finder.finder_graph import shares_tensor
from dermafed.shared.lesion_finder.outline import LesionOutline, outline
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.calibration.calibration import Calibration, sigmoid, softmax
from dermafed.shared.metrics.decision.conformal_sets import conformal_set
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.model.head import Activation
from dermafed.shared.model.metadata import encode_metadata
from dermafed.shared.model.mirrored_views import mean_logits, mirrored
from dermafed.shared.process import cores


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The network's outputs for one image.

    Attributes:
        prepared: its input, RGB uint8 (S, S, 3).
        logits: float32 (C,).
        features: its pooled last activations, float32 (K,).
        activation: what makes probabilities of the logits.
        lesion: where it is in `prepared`; ``None`` where the model has no finder.
    """

    prepared: NDArray[np.uint8]
    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    activation: Activation = "softmax"
    lesion: LesionOutline | None = None

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The network's own, (C,)."""
        return sigmoid(self.logits) if self.activation == "sigmoid" else softmax(self.logits)


class Diagnoser:
    """Preprocesses and classifies single images, one at a time; safe for many threads.

    The same pixels and metadata give the same numbers to the last bit: every image is a batch of its own.
    """

    def __init__(self, model: OpenedModel, engine: str | None = None) -> None:
        """Opens the engine and warms it up, which takes some ten seconds.

        Args:
            model: that diagnoses.
            engine: see :class:`dermafed.shared.explain.explainer.Explainer`.

        Raises:
            ModelError: the model cannot be explained, gives no finite output, or its finder is another's.
            SettingsError: the engine does not work.
        """
        self.model = model
        shares = None if model.finder is None else shares_tensor(model.classifier, model.finder)
        self._explainer = Explainer(model.classifier, engine=engine, beside=shares)
        self._network = threading.Lock()
        self.works = False
        """Whether the last output was finite."""
        self._warm_up()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes, in the model's order."""
        return self.model.card.model.classes

    def predict(self, image: NDArray[np.uint8], clinical: Clinical) -> Prediction:
        """Classifies an image.

        Args:
            image: RGB uint8 (H, W, 3), any size.
            clinical: used where the model was trained with metadata.

        Raises:
            Refused: an output is NaN or infinite, so there is no diagnosis (500).
        """
        prepared = preprocess(image, self.model.card.preprocess, cores()).image
        with self._network:
            activations, logits, shares = self._forward(prepared, clinical)
            others = range(1, self.model.card.model.views_at_test)
            views = [logits, *(self._forward(mirrored(prepared, view), clinical)[1] for view in others)]
            logits = mean_logits(views)
        self.works = bool(np.isfinite(logits).all())
        if not self.works:
            raise Refused("internal", "The model's output is not a number", remedy="Tell the node's operator")
        activation = self._explainer.network.activation
        lesion = None if shares is None else outline(shares, prepared)
        return Prediction(prepared, np.array(logits), activations.mean(axis=(0, 1)), activation, lesion)

    def explain(
        self,
        prepared: NDArray[np.uint8],
        target: str | None = None,
        against: str | None = None,
        method: str | None = None,
    ) -> Explanation:
        """The heatmap of a class, by default the predicted one.

        Args:
            prepared: from :meth:`predict`.
            target: a class.
            against: another class: why `target` rather than this.
            method: by default the model's own.

        Raises:
            SettingsError: there is no such class or method.
        """
        indices: dict[str | None, int | None] = {None: None}
        indices.update({name: index for index, name in enumerate(self.classes)})
        chosen, other = (indices.get(name, len(self.classes)) for name in (target, against))
        with self._network:
            return self._explainer.explain(prepared, method=method, target=chosen, against=other)

    def _forward(
        self, prepared: NDArray[np.uint8], clinical: Clinical
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32] | None]:
        """The last activation maps, the logits, and the cells that are lesion, of one view."""
        engine, pixels = self._explainer.opened.engine, prepared.astype(np.float32)
        beside = None if self.model.finder is None else engine.forward_beside
        if beside is None:
            (activations, outputs), shares = engine.forward(pixels), None
        else:
            activations, outputs, shares = beside(pixels)
        if self.model.card.model.metadata:
            return activations, self._with_metadata(prepared, clinical), shares
        return activations, outputs.logits[0], shares

    def _with_metadata(self, prepared: NDArray[np.uint8], clinical: Clinical) -> NDArray[np.float32]:
        record = LesionRecord(
            "", self.model.file, "", age=clinical.age, sex=clinical.sex, body_site=clinical.site
        )
        inputs = [prepared[None].astype(np.float32), encode_metadata([record])]
        return np.asarray(self._explainer.network.whole.predict_on_batch(inputs)[1][0], np.float32)

    def _warm_up(self) -> None:
        """The first call of every kind compiles; noise, since a plain image has no heatmap."""
        rng = np.random.default_rng(0)
        side = self.model.card.model.image_size
        noise = rng.integers(0, 256, (side + 1, side + 1, 3), dtype=np.uint8)
        try:
            prepared = self.predict(noise, Clinical()).prepared
        except Refused as error:
            raise ModelError(
                error.what,
                where=self.model.file,
                remedy="Serve another model: fl-client models lists those of the federation",
            ) from error
        self.explain(prepared)


def diagnose_image(
    diagnoser: Diagnoser,
    calibration: Calibration | None,
    received: Received,
    device: str,
    request: str | None = None,
) -> tuple[Diagnosis, NDArray[np.uint8]]:
    """Diagnose an image; nothing is saved.

    Args:
        diagnoser: the model.
        calibration: of the model, if it was fitted.
        received: the image.
        device: who sent it.
        request: the sender's own name of this request.

    Returns:
        The diagnosis, and what the network saw, RGB uint8 (S, S, 3).
    """
    start, classes = time.perf_counter(), diagnoser.classes
    prediction = diagnoser.predict(received.image, received.clinical)
    seconds = time.perf_counter() - start
    probabilities, unsure, outside, score = prediction.probabilities, None, None, None
    if calibration is not None:
        probabilities = calibration.probabilities(prediction.logits)
        unsure = calibration.unsure(probabilities)
        score = calibration.out_of_distribution_score(prediction.features)
        outside = None if score is None else calibration.is_out_of_distribution(score)
    diagnosis = Diagnosis(
        id=uuid.uuid4().hex,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        device=device,
        request=request,
        image_sha256=received.sha256,
        clinical=received.clinical,
        probabilities=dict(zip(classes, map(float, probabilities), strict=True)),
        prediction=classes[int(probabilities.argmax())],
        unsure=unsure,
        outside=outside,
        outside_score=score,
        cautions=received.cautions,
        model=diagnoser.model.used,
        seconds=round(seconds, 4),
        lesion=_lesion(diagnoser, prediction, received),
        width_mm=received.width_mm,
        **_alert(calibration, prediction.logits),
    )
    return diagnosis, prediction.prepared


def _lesion(diagnoser: Diagnoser, prediction: Prediction, received: Received) -> Lesion | None:
    if prediction.lesion is None:
        return None
    fit = diagnoser.model.card.preprocess.fit
    return describe_lesion(prediction.lesion, received.image, fit, received.mm_per_pixel)


def _alert(calibration: Calibration | None, logits: NDArray[np.float32]) -> dict[str, Any]:
    """The fields of a diagnosis that the clinic's alert fills; none without one."""
    if calibration is None or calibration.alert is None:
        return {}
    rule, classes = calibration.alert, calibration.classes
    score = float(calibration.alert_probabilities(logits, rule)[classes.index(MELANOMA)])
    rate = rule.point.miss_rate
    assert rate.value is not None
    assert rate.interval is not None
    inside = conformal_set(calibration.probabilities(logits), np.array(rule.sets))
    few = {"alert_score": score, "alert_note": rule.note} if rule.note else {}
    return {
        **few,
        "alert": score in rule,
        "alert_threshold": rule.threshold,
        "miss_rate": MissRate(
            rate.value, rate.interval.low, rate.interval.high, rate.n, rule.promise.sentence
        ),
        "possible": tuple(name for name, possible in zip(classes, inside, strict=True) if possible),
    }
