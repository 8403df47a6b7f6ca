"""The text of an offer at a clinic, which judges it; first byte 0: the rest is it, or its changes."""

from __future__ import annotations

import json

from dermafed.client.node.clinic_settings import Limits
from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.shared.model.model_settings import ModelSettings
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.training.recipe import Recipe
from tests.fuzzing.documents import LENGTH, edited
from tests.fuzzing.target import outcome

CLASSES = ("melanoma", "nevus", "seborrheic_keratosis")
OFFER = Offer(
    name="spring",
    model=ModelSettings(CLASSES, image_size=64),
    preprocess=PreprocessSettings(image_size=64),
    recipe=Recipe(),
    labels={"MM": "melanoma"},
    rounds=3,
    threads=2,
)
LIMITS = Limits("limits")
IMAGES = 21  # of the clinic


def read(data: bytes) -> str:
    offer = Offer.from_text(data.decode("utf-8", "surrogatepass"))
    assert Offer.from_text(offer.to_text()) == offer
    decision, _ = LIMITS.decide(offer)
    LIMITS.never(offer, IMAGES)
    assert all(fault.isprintable() for fault in LIMITS.beyond(offer))
    offer.plan([IMAGES] * len(offer.model.classes), threads=2)
    return f"received, {decision.value}"


def take(data: bytes) -> str:
    if data[:1] != b"\0":
        data = b"\0" + json.dumps(edited(OFFER.to_dict(), data[1:])).encode("utf-8", "surrogatepass")
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return "no text"
    return outcome(read, data[1:])


def seeds() -> list[bytes]:
    return [b"\0" + OFFER.to_text().encode(), b"\1", b"\1" + bytes([2, 0, 2, 9]) + bytes(LENGTH - 4)]
