"""A diagnosis: the result of a model on one image, as data and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dermafed.client.clinic.diagnosis.lesion import Lesion
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.quality import Caution


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """The model that made a diagnosis.

    Attributes:
        name: the run's, or the file's.
        round: the federated round of its weights.
        sha256: of its weights, 64 hexadecimal digits.
    """

    name: str
    round: int
    sha256: str


@dataclass(frozen=True, slots=True)
class MissRate:
    """How often the alert missed a melanoma among the clinic's validation lesions.

    Attributes:
        value: share of melanomas that raised no alert.
        low: lower end of its exact 95 % interval.
        high: upper end.
        n: number of melanomas.
        promise: what can be promised of it, or that nothing can, as a sentence.
    """

    value: float
    low: float
    high: float
    n: int
    promise: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A model's result on one image; the clinician decides.

    Attributes:
        id: a random UUID, 32 hexadecimal digits.
        time: when it was made: ISO 8601 in UTC, to the millisecond.
        device: who sent the image.
        request: the sender's own name of the request, if it gave one: the same is answered with the same.
        image_sha256: of the bytes that came.
        clinical: what the sender sent about the person.
        probabilities: of every class, in the model's order; calibrated where the model has a calibration.
        prediction: the most probable class.
        unsure: whether the probabilities are too close to call; ``None`` where no rule was fitted.
        outside: whether the image is out of distribution; ``None`` where no rule was fitted.
        outside_score: of out-of-distribution, higher is farther; ``None`` where no rule was fitted.
        cautions: about the image.
        model: that made it.
        seconds: from the decoded image to the probabilities.
        alert: whether the probability of melanoma reaches the clinic's threshold; ``None`` without one.
        alert_threshold: the threshold; ``None`` where none was fitted.
        miss_rate: of the alert; ``None`` where no threshold was fitted.
        alert_score: what the threshold was compared with, where that is not the probability of melanoma: the
            one without the prior, at a clinic with few melanomas; otherwise ``None``.
        alert_note: why, in plain words; ``None`` likewise.
        possible: the classes of the conformal set, which each class leaves in one of ten of its lesions at
            most; ``None`` where none was fitted.
        width_mm: of the image, in millimetres, where the device or the DICOM object states a scale.
        uploaded: whether a clinician sent the image, by the page or with a token; else `device` is a device.
        lesion: where it is, or that none was found; ``None`` where the model has no finder.
    """

    id: str
    time: str
    device: str
    request: str | None
    image_sha256: str
    clinical: Clinical
    probabilities: dict[str, float]
    prediction: str
    unsure: bool | None
    outside: bool | None
    outside_score: float | None
    cautions: tuple[Caution, ...]
    model: ModelUsed
    seconds: float
    alert: bool | None = None
    alert_threshold: float | None = None
    miss_rate: MissRate | None = None
    possible: tuple[str, ...] | None = None
    alert_score: float | None = None
    alert_note: str | None = None
    lesion: Lesion | None = None
    width_mm: float | None = None
    uploaded: bool = False

    @property
    def no_lesion(self) -> bool:
        """Whether the model has a lesion finder, and it found none in this image."""
        return self.lesion is not None and self.lesion.measures is None

    @property
    def unreliable(self) -> bool:
        """Whether the probabilities mean little: no lesion was found, or the image is out of distribution."""
        return bool(self.outside) or self.no_lesion

    @property
    def undecided(self) -> bool:
        """Whether the model leaves it open: too close to call, or :attr:`unreliable`."""
        return bool(self.unsure) or self.unreliable

    @property
    def doubts(self) -> list[str]:
        """What makes the probabilities less sure, a sentence each; cautions about the image are apart."""
        return [
            *(["Undecided: no class is probable enough to rely on."] if self.unsure else []),
            *(["The image may be outside what the model has seen."] if self.outside else []),
            *([f"No lesion was found: {self.lesion.reason}."] if self.lesion and self.no_lesion else []),
        ]

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as JSON types: the answer of every way in."""
        return {
            "id": self.id,
            "time": self.time,
            "device": self.device,
            "request": self.request,
            "image_sha256": self.image_sha256,
            "clinical": asdict(self.clinical),
            "prediction": self.prediction,
            "probabilities": dict(self.probabilities),
            "unsure": self.unsure,
            "outside": self.outside,
            "outside_score": self.outside_score,
            **({"doubts": self.doubts} if self.doubts else {}),
            **self._alert_fields(),
            **({"uploaded": True} if self.uploaded else {}),
            **({} if self.width_mm is None else {"width_mm": self.width_mm}),
            **({} if self.lesion is None else {"lesion": self.lesion.to_dict()}),
            "quality": [asdict(caution) for caution in self.cautions],
            "model": asdict(self.model),
            "seconds": self.seconds,
            "intended_use": USE,
        }

    def _alert_fields(self) -> dict[str, Any]:
        """The fields of the alert; left out where none was fitted, as version 0.1.0 wrote it."""
        if self.alert is None or self.miss_rate is None or self.possible is None:
            return {}
        few = {"alert_score": self.alert_score, "alert_note": self.alert_note} if self.alert_note else {}
        return {
            "alert": self.alert,
            "alert_threshold": self.alert_threshold,
            **few,
            "miss_rate": asdict(self.miss_rate),
            "possible": list(self.possible),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Diagnosis:
        """The diagnosis from :meth:`to_dict`."""
        other = ("clinical", "quality", "model", "intended_use", "miss_rate", "possible", "lesion", "doubts")
        rate, possible, lesion = values.get("miss_rate"), values.get("possible"), values.get("lesion")
        return cls(
            **{name: value for name, value in values.items() if name not in other},
            clinical=Clinical(**values["clinical"]),
            cautions=tuple(Caution(**each) for each in values["quality"]),
            model=ModelUsed(**values["model"]),
            miss_rate=None if rate is None else MissRate(**rate),
            possible=None if possible is None else tuple(possible),
            lesion=None if lesion is None else Lesion.from_dict(lesion),
        )


USE = "Research use only; not a medical device."
