from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from dermafed.client.clinic.dicom.dicom_settings import DicomSettings, Peer

DEVICES = {"CAMERA 2": "camera-2"}


def test_given_values_are_read_and_the_others_have_defaults() -> None:
    chosen = DicomSettings.model_validate({"devices": DEVICES, "answer_to": "PA@CS@[::1]:104", "port": 104})
    assert chosen.answer_to == Peer("PA@CS", "::1", 104)
    assert (chosen.devices, chosen.ae_title, chosen.host) == (DEVICES, "DERMAFED", "127.0.0.1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"devices": {}},
        {"devices": {"": "camera"}},
        {"devices": {"A\\B": "camera"}},
        {"devices": {" A": "camera"}},
        {"devices": {"SEVENTEEN LETTERS": "camera"}},
        {"devices": {"CÄMERA": "camera"}},
        {"devices": {"CAMERA": "no name!"}},
        {"answer_to": "PACS"},
        {"answer_to": "PACS@host"},
        {"answer_to": "@host:104"},
        {"answer_to": "PACS@host:0"},
        {"answer_to": "PACS@host:65536"},
        {"answer_to": "PACS@no host:104"},
        {"answer_to": 104},
        {"port": 65536},
        {"port": "104"},
        {"associations": 0},
        {"max_pdu": 100},
        {"certificate": "a.pem"},
        {"key": "a.pem"},
        {"ca": "a.pem"},
        {"colour": "red"},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DicomSettings.model_validate({"devices": DEVICES} | wrong)


def test_relative_paths_start_at_the_folder_of_the_settings() -> None:
    files = {"certificate": "node.pem", "key": "/elsewhere/node.key"}
    chosen = DicomSettings.model_validate({"devices": DEVICES} | files).beside(Path("clinic"))
    assert (chosen.certificate, chosen.key) == (Path("clinic/node.pem"), Path("/elsewhere/node.key"))
    assert chosen.ca is None
