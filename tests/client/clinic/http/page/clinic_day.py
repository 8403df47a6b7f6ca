"""A clinic's day for the page: twenty diagnoses of every kind, and a lesion that was seen three times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, MissRate, ModelUsed
from dermafed.client.clinic.diagnosis.lesion import Lesion, describe_lesion
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.quality import TEXTS, Caution
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.client.clinic.store.store import Store
from dermafed.shared.imaging.decoding import decode_image
from dermafed.shared.imaging.resize import resize
from dermafed.shared.lesion_finder.outline import LesionOutline
from tests.client.clinic.http.http_node import CLASSES, SIDE
from tests.client.clinic.lesions import NOT_FOUND, photograph
from tests.client.clinic.store.samples import diagnosis, received

WHO = "anna"
USED = ModelUsed("alps", 7, "0" * 64)
RATE = MissRate(1 / 30, 0.0008, 0.172, 30, "Cannot be promised here: 30 melanomas, at least 69 are needed")
FEW = MissRate(
    13 / 110, 0.0645, 0.1935, 110,
    "At most 20% of melanomas are missed, with 95% confidence (110 validation melanomas, 15 may be missed)",
)  # fmt: skip
NOTE = (
    "Too few melanomas to choose a threshold by are among this clinic's validation lesions: 3. So the "
    "threshold and the miss rate are those of all clinics together, for the probability as if all diagnoses "
    "were equally frequent"
)
KINDS: Mapping[str, tuple[float, dict[str, object]]] = {
    "alert": (0.27, {"cautions": (Caution("hair", TEXTS["hair"]), Caution("ruler", TEXTS["ruler"]))}),
    "below": (0.04, {"uploaded": True, "device": WHO}),
    "close": (0.118, {}),
    "few": (0.12, {"alert_score": 0.31, "alert_threshold": 0.25, "miss_rate": FEW, "alert_note": NOTE}),
    "undecided": (0.09, {"unsure": True, "cautions": (Caution("ink", TEXTS["ink"]),)}),
    "outside": (0.02, {"outside": True, "outside_score": 9.1}),
    "outside-alert": (0.91, {"outside": True, "outside_score": 9.1}),
    "no-lesion": (0.03, {"lesion": NOT_FOUND}),
    "unmeasured": (
        0.22,
        dict.fromkeys(("alert", "alert_threshold", "miss_rate", "possible", "unsure", "outside")),
    ),
    "hidden": (0.55, {}),
    "earlier": (0.04, {"model": ModelUsed("alps", 5, "5" * 64)}),
}  # fmt: skip
"""What the model says: the probability of melanoma, and what differs from an answer without any doubt."""

Photograph = NDArray[np.uint8]


def photographs(folder: Path) -> list[Photograph]:
    """Real images, RGB uint8; drawn ones where there are none."""
    files = sorted(folder.glob("*.jpg"))
    return [decode_image(each.read_bytes(), where=each.name) for each in files] or [photograph(900, 1200)]


def around(image: Photograph, mm_per_pixel: float | None) -> Lesion:
    """What is darker than the skin, the largest of it: an outline such as a finder's."""
    small = cv2.GaussianBlur(resize(image, 96, "crop"), (0, 0), 2)
    _, dark = cv2.threshold(
        cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), 0, 1, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU
    )
    _, parts, sizes, _ = cv2.connectedComponentsWithStats(dark)
    largest = 1 + int(np.argmax(sizes[1:, cv2.CC_STAT_AREA]))
    return describe_lesion(LesionOutline(parts == largest, None, 1), image, "crop", mm_per_pixel)


def save(
    store: Store, image: Photograph, seed: int, ago: timedelta, kind: str, scale: float | None = None
) -> Diagnosis:
    """A diagnosis of some time ago."""
    of = received(
        seed, image=image, mm_per_pixel=scale, reference=None,
        clinical=Clinical(30 + seed, "female", "upper extremity"),
    )  # fmt: skip
    melanoma, changes = KINDS[kind]
    threshold = float(changes.get("alert_threshold") or 0.12)  # type: ignore[arg-type]
    score = float(changes.get("alert_score") or melanoma)  # type: ignore[arg-type]
    rest = 1 - melanoma
    values: dict[str, object] = {
        "probabilities": dict(zip(CLASSES, (melanoma, 0.8 * rest, 0.2 * rest), strict=True)),
        "prediction": "melanoma" if melanoma > 0.8 * rest else "nevus",
        "alert": score >= threshold, "alert_threshold": threshold, "miss_rate": RATE, "possible": ("nevus",),
        "unsure": False, "outside": False, "cautions": (), "model": USED, "width_mm": of.width_mm,
        "lesion": around(image, scale),
        "time": (datetime.now(UTC) - ago).isoformat(timespec="milliseconds"),
    }  # fmt: skip
    made = diagnosis(of, **values | changes)
    return store.save(made, of, resize(image, SIDE, "crop"))


def fill(store: Store, images: Sequence[Photograph]) -> dict[str, str]:
    """Fill a store; the ids of a diagnosis of each kind, and ``lesion``, the lesion's number."""
    ids: dict[str, str] = {}
    order = [
        *(each for each in KINDS if each != "earlier"),
        *(["below"] * 7 + ["alert", "undecided", "hidden"]),
    ]
    for number, kind in enumerate(order):
        image = images[number % len(images)]
        made = save(store, image, number, timedelta(seconds=30 * number), kind, 0.01 if number % 2 else None)
        ids.setdefault(kind, made.id)
        if kind != "hidden":
            store.add_impression(made.id, WHO, "nevus")
    _say(store, ids)
    days, lesion = (200, 92, 0), None
    for number, ago in enumerate(days):
        kind = ("earlier", "close", "alert")[number]
        made = save(store, images[2 % len(images)], 40 + number, timedelta(ago), kind, 0.01)
        store.add_impression(made.id, WHO, None)
        lesion = store.lesions.assign(made.id, WHO, lesion)
        ids.setdefault("earlier", made.id)
    return ids | {"lesion": str(lesion)}


def _say(store: Store, ids: Mapping[str, str]) -> None:
    """Opinions: of two clinicians, replaced ones, and one that was withdrawn."""
    store.add_opinion(ids["alert"], Opinion("ben", True, confirmed_by="histopathology"))
    store.add_opinion(ids["alert"], Opinion(WHO, False, "nevus", "Regular network, no blue-white veil."))
    store.add_opinion(ids["alert"], Opinion(WHO, True))
    store.add_opinion(ids["below"], Opinion("ben", False, "melanoma", "Streaks at the border."))
    store.withdraw_opinion(ids["below"], "ben")
