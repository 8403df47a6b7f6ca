"""What the page shows of a model: which it is, how well calibrated it is, and its results by clinic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermafed.client.clinic.diagnosis.diagnosis import ModelUsed
from dermafed.client.clinic.diagnosis.opened_model import OpenedModel
from dermafed.client.clinic.language.speech import gettext, ngettext, number
from dermafed.client.clinic.language.terms import term
from dermafed.shared.explain.methods import METHODS, offered_methods
from dermafed.shared.explain.overlay import COLOURS, SIGNED_COLOURS
from dermafed.shared.metrics.calibration.calibration import Calibration

_RESULT = "result.json"  # of the run, beside its model


@dataclass(frozen=True, slots=True)
class AtClinic:
    """A model's result on one clinic's test images; ``here`` is the clinic whose node this is."""

    name: str
    here: bool
    images: int
    balanced_accuracy: float | None


@dataclass(frozen=True)
class ShownMethod:
    """An explanation method as the page offers it."""

    name: str

    @property
    def title(self) -> str:
        """Its name in words."""
        return term(METHODS[self.name].title)

    @property
    def signed(self) -> bool:
        """Whether its heatmaps have two directions."""
        return METHODS[self.name].signed

    @property
    def scale(self) -> list[str]:
        """Its heatmaps' colours from low to high, as CSS writes them."""
        colours = SIGNED_COLOURS if self.signed else COLOURS
        return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b, _ in colours(np.linspace(0, 1, 9), bytes=True)]


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """How many training images of which clinics, as far as the model's information says it.

    Attributes:
        clinics: their names.
        images: how many; ``None``: not known.
        apart: whether those for validation and test are not counted; version 0.1.0 counted all.
    """

    clinics: tuple[str, ...]
    images: int | None = None
    apart: bool = True

    def __str__(self) -> str:
        """The same in words."""
        if not self.clinics:
            return gettext("unknown")
        count = len(self.clinics)
        values = {"names": ", ".join(self.clinics), "images": number(self.images or 0)}
        if self.images is None:
            return ngettext("%(num)s clinic: %(names)s", "%(num)s clinics: %(names)s", count, **values)
        if self.apart:
            return ngettext(
                "%(images)s images of %(num)s clinic: %(names)s",
                "%(images)s images of %(num)s clinics: %(names)s",
                count, **values,
            )  # fmt: skip
        return ngettext(
            "a part of %(images)s images of %(num)s clinic: %(names)s; "
            "the others were for validation and test",
            "a part of %(images)s images of %(num)s clinics: %(names)s; "
            "the others were for validation and test",
            count, **values,
        )  # fmt: skip


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model; an empty part was not measured. ``synthetic``: trained on drawn images."""

    used: ModelUsed
    classes: tuple[str, ...]
    backbone: str
    image_size: int
    trained_on: TrainedOn
    note: str
    crops: bool
    calibration: Calibration | None
    clinics: tuple[AtClinic, ...]
    methods: tuple[ShownMethod, ...]
    synthetic: bool = False

    @property
    def chance(self) -> float:
        """Balanced accuracy of chance."""
        return 1 / len(self.classes)


def model_facts(model: OpenedModel, calibration: Calibration | None, clinic: str) -> ModelFacts:
    """Collect what the model's files say.

    Args:
        model: the opened model.
        calibration: its calibration, if it was measured.
        clinic: the name of the clinic whose node this is.
    """
    card = model.card
    return ModelFacts(
        used=model.used,
        classes=card.model.classes,
        backbone=card.model.backbone,
        image_size=card.model.image_size,
        trained_on=trained_on(card.data),
        note=card.note,
        crops=card.preprocess.fit == "crop",
        calibration=calibration,
        clinics=_by_clinic(model.file.parent / _RESULT, clinic),
        methods=tuple(map(ShownMethod, offered_methods(model.classifier))),
        synthetic=card.synthetic,
    )


def trained_on(data: Mapping[str, Any]) -> TrainedOn:
    """What ``data`` of a model's information says of its training images."""
    clinics, counts = data.get("clinics", ()), data.get("training_images")
    if counts or not isinstance(clinics, Mapping):
        return TrainedOn(tuple(clinics), sum(counts.values()) if counts else None)
    return TrainedOn(tuple(clinics), sum(sum(each.values()) for each in clinics.values()), apart=False)


def _by_clinic(file: Path, own: str) -> tuple[AtClinic, ...]:
    try:
        clinics = json.loads(file.read_text("utf-8"))["federated"]["clinics"]
        return tuple(
            AtClinic(name, name == own, int(each["images"]), each["balanced_accuracy"])
            for name, each in clinics.items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return ()  # not the folder of a run: not measured here
