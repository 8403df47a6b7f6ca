"""What makes many sums affordable in a test."""

from __future__ import annotations

import importlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from dermafed.shared.secure_sum.signing import is_signed

CHECKING = ("adverts", "clinic_side", "reveals", "server_side")


@pytest.fixture
def each_signature_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process, the check of the same signature by every clinic gives the same answer."""
    answers: dict[tuple[int, bytes, bytes], bool] = {}

    def remembered(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
        asked = id(key), signature, message  # the keys of a test's roster stay where they are
        if asked not in answers:
            answers[asked] = is_signed(key, signature, message)
        return answers[asked]

    for module in CHECKING:
        place = importlib.import_module(f"dermafed.shared.secure_sum.{module}")
        monkeypatch.setattr(place, "is_signed", remembered)
