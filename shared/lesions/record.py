"""Lesion records (an image with its clinical metadata), and their split for training, validation and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DRAWN = "SYN_"
"""The start of the name of every image that this project drew; no real one is named so."""
PAPER_CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
SIDES = ("train", "validation", "test")
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "valid", "validation"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
"""What data sets call the sides, each with its place in SIDES."""


@dataclass(frozen=True, slots=True)
class LesionRecord:
    """One image I_i with its clinical metadata M_i (paper, section 3.1).

    Attributes:
        image_id: the image's name without suffix, unique in its dataset.
        path: the image file.
        label: the diagnosis as the source names it, or the class name once a class map was applied.
        lesion_id: shared by images of the same lesion; ``None`` where the source does not give it.
        patient_id: shared by images of the same person; ``None`` where the source does not give it.
        age: years, or ``None``.
        sex: ``"female"``, ``"male"`` or ``None``.
        body_site: place on the body in the source's words, or ``None``.
        mask: a binary lesion mask (PNG), or ``None``.
        attributes: every column of the source, by its own name, as text.
    """

    image_id: str
    path: Path
    label: str
    lesion_id: str | None = None
    patient_id: str | None = None
    age: float | None = None
    sex: str | None = None
    body_site: str | None = None
    mask: Path | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def drawn(self) -> bool:
        """Whether it is synthetic dermoscopy."""
        return self.image_id.startswith(DRAWN)

    @property
    def group(self) -> str:
        """The unit of independent images: the patient, else the lesion, else the image itself."""
        return self.patient_id or self.lesion_id or self.image_id

    @property
    def lesion(self) -> str:
        """The unit of decisions: the lesion, else the image itself; a patient may have several lesions."""
        return self.lesion_id or self.image_id


@dataclass(frozen=True, slots=True)
class Splits:
    """The three sides of a data set, each in order of ``image_id``."""

    train: tuple[LesionRecord, ...]
    validation: tuple[LesionRecord, ...]
    test: tuple[LesionRecord, ...]

    def sides(self) -> dict[str, tuple[LesionRecord, ...]]:
        """The sides by name."""
        return {side: getattr(self, side) for side in SIDES}

    def counts(self) -> dict[str, dict[str, int]]:
        """Images of each label, by side."""
        return {
            side: dict(sorted(Counter(record.label for record in records).items()))
            for side, records in self.sides().items()
        }
