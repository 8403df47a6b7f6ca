"""What makes many sums affordable in a test."""

from __future__ import annotations

import importlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dermafed.shared.secure_sum.signing import is_signed, sign

SIGNING = ("adverts", "clinic_side", "reveals")
CHECKING = (*SIGNING, "server_side")


@pytest.fixture
def each_signature_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process, each check of a signature has the same answer; what was signed here is genuine."""
    answers: dict[tuple[bytes, bytes, bytes], bool] = {}
    names: dict[int, tuple[object, bytes]] = {}  # with the keys, so that no other gets their place

    def named(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> bytes:
        if id(key) not in names:
            public = key.public_key() if isinstance(key, ec.EllipticCurvePrivateKey) else key
            names[id(key)] = key, public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return names[id(key)][1]

    def noted(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
        signature = sign(key, message)
        answers[named(key), signature, message] = True
        return signature

    def remembered(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
        asked = named(key), signature, message
        if asked not in answers:
            answers[asked] = is_signed(key, signature, message)
        return answers[asked]

    for module in CHECKING:
        place = importlib.import_module(f"dermafed.shared.secure_sum.{module}")
        monkeypatch.setattr(place, "is_signed", remembered)
        if module in SIGNING:
            monkeypatch.setattr(place, "sign", noted)
