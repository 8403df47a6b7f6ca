"""Sample diagnoses, their images, and a clinic's folder."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.diagnosis.diagnosis import Diagnosis, ModelUsed
from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.quality import Caution
from dermafed.client.clinic.intake.receive import Received
from dermafed.client.clinic.store.store import Store
from dermafed.client.node.home import Home, make_home

HEADERS = (
    '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Obermoser^W"}]},'
    ' "00100020": {"vr": "LO", "Value": ["4711"]}}'
)
CLINICAL = Clinical(age=71, sex="female", site="left forearm")
SIDE = 16


def home(folder: Path) -> Home:
    return make_home(folder / "clinic", "graz", folder / "data")


def noise(seed: int, height: int = 24, width: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def received(seed: int = 0, **changes: object) -> Received:
    given = Received(noise(seed), f"{seed:064x}", CLINICAL, (), HEADERS)
    return replace(given, **changes)  # type: ignore[arg-type]


def diagnosis(of: Received, request: str | None = None, **changes: object) -> Diagnosis:
    made = Diagnosis(
        id=uuid.uuid4().hex,
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        device="camera-1",
        request=request,
        image_sha256=of.sha256,
        clinical=of.clinical,
        probabilities={"melanoma": 0.25, "nevus": 0.75},
        prediction="nevus",
        unsure=False,
        outside=None,
        outside_score=None,
        cautions=(Caution("blur", "The image is blurred."),),
        model=ModelUsed("first", 3, "ab" * 32),
        seconds=0.0312,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def prepared(seed: int = 0) -> NDArray[np.uint8]:
    return noise(seed + 1000, SIDE, SIDE)


def save_one(store: Store, seed: int = 0, request: str | None = None, **changes: object) -> Diagnosis:
    """Save a diagnosis of the image of this seed."""
    of = received(seed)
    return store.save(diagnosis(of, request, **changes), of, prepared(seed))


def all_bytes(folder: Path) -> bytes:
    """The bytes of all files below a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
