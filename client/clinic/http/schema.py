"""The requests and answers of the API, typed: the source of its OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from dermafed.client.clinic.diagnosis.diagnosis import MissRate, ModelUsed
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.quality import Caution
from dermafed.client.clinic.store.opinions import Standing
from dermafed.shared.lesion_measures.asymmetry import Asymmetry
from dermafed.shared.lesion_measures.border import Border


class LesionAnswer(BaseModel):
    """Where the lesion is, and its measures; if none was found, only that.

    The measures follow parts A, B and C of the ABCD rule. They are no score and no criterion, and were not
    compared with pathology. Shares are those of the part of the image that the model saw.
    """

    found: bool
    reason: Annotated[str | None, Field(description="Why none was found.")] = None
    lesions: Annotated[
        int | None, Field(description="How many regions look like a lesion; the largest is measured.")
    ] = None
    outline: Annotated[
        list[tuple[float, float]],
        Field(description="Corners of a polygon, x and y, as shares of the image's width and height."),
    ] = []
    whole: Annotated[
        bool | None, Field(description="Whether all of it is seen; if not, it is larger than measured.")
    ] = None
    area: float | None = None
    diameter: Annotated[float | None, Field(description="The largest, as a share of the longer side.")] = None
    area_mm2: Annotated[float | None, Field(description="Null where the image states no scale.")] = None
    diameter_mm: float | None = None
    asymmetry: Annotated[
        Asymmetry | None,
        Field(
            description="About two perpendicular axes: the share without a counterpart, and the mean colour "
            "difference (CIE 1976); null where the lesion is not whole."
        ),
    ] = None
    border: Annotated[
        Border | None,
        Field(
            description="Irregularity (perimeter squared over 4 pi times area: 1 for a disc); how many "
            "eighths of those that were looked at end abruptly."
        ),
    ] = None
    colours: Annotated[
        dict[str, float] | None, Field(description="The share of the lesion of each of six colours.")
    ] = None


class DiagnosisAnswer(BaseModel):
    """What the model predicts for one image; the clinician decides."""

    id: str
    time: str
    device: str
    uploaded: Annotated[bool, Field(description="A clinician sent it; absent where a device did.")] = False
    width_mm: Annotated[
        float | None, Field(description="Of the image; absent where neither device nor file states a scale.")
    ] = None
    request: str | None
    image_sha256: str
    clinical: Clinical
    prediction: str
    probabilities: dict[str, float]
    unsure: Annotated[
        bool | None,
        Field(
            description="Undecided: no class is probable enough to rely on; null where no rule was fitted."
        ),
    ]
    outside: Annotated[
        bool | None,
        Field(description="May be outside what the model has seen; null where no rule was fitted."),
    ]
    outside_score: float | None
    doubts: Annotated[
        list[str],
        Field(description="The same in sentences, and why no lesion was found; absent without a doubt."),
    ] = []
    quality: list[Caution]
    model: ModelUsed
    seconds: float
    intended_use: str
    alert: Annotated[
        bool | None,
        Field(description="The probability of melanoma reaches the clinic's threshold; absent without one."),
    ] = None
    alert_threshold: float | None = None
    miss_rate: Annotated[
        MissRate | None,
        Field(
            description="How often the alert missed a melanoma of the clinic's validation lesions, or of all "
            "clinics' where alert_note says so."
        ),
    ] = None
    alert_score: Annotated[
        float | None,
        Field(description="What reached the threshold or did not, where it is not the probability above."),
    ] = None
    alert_note: Annotated[
        str | None, Field(description="Why the threshold is not by the clinic's own melanomas.")
    ] = None
    possible: Annotated[
        list[str] | None, Field(description="The conformal set of classes; absent where none was fitted.")
    ] = None
    lesion: Annotated[
        LesionAnswer | None, Field(description="Absent where the model has no lesion finder.")
    ] = None


class HeatmapAnswer(BaseModel):
    """What is known of a heatmap."""

    target: Annotated[str, Field(alias="class", description="The class that it explains.")]
    against: Annotated[str | None, Field(description="The class that is subtracted, if any.")]
    method: str
    signed: Annotated[
        bool, Field(description="It has two directions: for the class, and against it or for the other.")
    ]
    constant: Annotated[bool, Field(description="It is zero everywhere: it shows nothing.")]
    depends_on_class: Annotated[
        bool | None,
        Field(
            description="False where the heatmaps of all classes of this image are nearly the same picture; "
            "null for a model of one class."
        ),
    ]
    class_correlation: Annotated[
        float | None, Field(description="The least Pearson correlation between two of them.")
    ]


class OpinionGiven(BaseModel):
    """A clinician's opinion of a diagnosis."""

    model_config = ConfigDict(extra="forbid")

    agrees: bool
    label: Annotated[
        str | None, Field(description="The right label, if the clinician disagrees: a class, or 'other'.")
    ] = None
    reason: Annotated[str, Field(max_length=2000)] = ""
    confirmed_by: Annotated[
        str | None, Field(description="What confirms it: histopathology, follow-up or consensus.")
    ] = None


class OpinionAnswer(OpinionGiven):
    """An opinion as it is saved."""

    who: str
    time: str
    standing: Annotated[
        Standing, Field(description="Of each clinician the latest counts, unless it was withdrawn.")
    ]


class LesionGiven(BaseModel):
    """The lesion that an image shows."""

    model_config = ConfigDict(extra="forbid")

    lesion: Annotated[
        str | None, Field(max_length=32, description="Its number, such as L-0042; null: a new lesion.")
    ] = None


class LesionOf(BaseModel):
    """The lesion of an image; null if it is of none."""

    lesion: str | None


class SimilarCase(BaseModel):
    """A confirmed case of this clinic."""

    id: str
    diagnosis: str
    confirmed_by: Annotated[str, Field(description="Empty where the clinic's data do not say.")]
    distance: Annotated[float, Field(description="Of the model's features; no unit, no threshold.")]
    image: Annotated[str, Field(description="Where its image is.")]


class SimilarAnswer(BaseModel):
    """The nearest cases, each of another lesion, the nearest first."""

    cases: list[SimilarCase]
    note: str


class Health(BaseModel):
    """Whether the node can answer."""

    status: str
    ready: bool
    model: str
    round: int
    dicom_answers_failed: Annotated[
        int, Field(description="DICOM answers that could not be made and wait; absent if none.")
    ] = 0


class ErrorAnswer(BaseModel):
    """Why there is no answer."""

    code: str
    error: str
    remedy: str
