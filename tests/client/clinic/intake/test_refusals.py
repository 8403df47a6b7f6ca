"""One table for every way in: from an error to its code, its HTTP status and its DICOM status."""

from __future__ import annotations

import pickle

import pytest

from dermafed.client.clinic.intake import refusals
from dermafed.client.clinic.intake.refusals import Refused, refusal_of
from dermafed.shared.errors import SettingsError, StorageError
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("error", "code", "http", "dicom"),
    [
        (Refused("sop-class", "This kind is not accepted"), "sop-class", 415, 0x0122),
        (Refused("too-large", "It is too large"), "too-large", 413, 0xA700),
        (Refused("blank", "It is blank"), "blank", 422, 0xC000),
        (StorageError("No space left", where="/secret"), "storage", 503, 0xA700),
        (SettingsError("There is no such class"), "unusable", 400, 0x0110),
        (RuntimeError("Jane Doe"), "internal", 500, 0x0110),
    ],
)
def test_every_error_has_a_code_and_its_statuses(error: Exception, code: str, http: int, dicom: int) -> None:
    refused = refusal_of(error)
    assert (refused.code, refused.status, refused.dicom_status) == (code, http, dicom)
    assert set(refused.to_dict()) == {"code", "error", "remedy"}
    assert "Jane" not in str(refused)
    assert "secret" not in str(refused)


def test_a_refusal_crosses_processes() -> None:
    refused = Refused("busy", "The node is busy", remedy="Wait", status=500, retry_after=5)
    copy = pickle.loads(pickle.dumps(refused))
    assert vars(copy) == vars(refused)
    assert copy.retry_after == 5


def test_every_code_is_documented() -> None:
    names = ("bad-input", "serve", "dicom", "mqtt")
    pages = "".join((ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in names)
    assert not [code for code in refusals._STATUSES if f"`{code}`" not in pages]
