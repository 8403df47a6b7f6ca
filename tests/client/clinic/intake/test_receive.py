"""Receiving: DICOM or picture, whose clinical data count, and what goes to quarantine."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import numpy as np
import pytest

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from tests.client.clinic.intake.sample_files import dicom, png, skin

Saved = list[tuple[bytes, str, str]]


def test_pictures_and_dicom_objects_are_received_alike() -> None:
    for data in (png(), dicom()):
        received = receive(data)
        assert np.array_equal(received.image, skin())
        assert received.sha256 == hashlib.sha256(data).hexdigest()
    assert receive(png()).reference is None
    assert receive(dicom()).reference is not None


def test_the_header_of_a_dicom_object_counts_where_the_sender_gives_no_data() -> None:
    data = dicom(PatientAge="054Y", PatientSex="F")
    assert receive(data).clinical == Clinical(54, "female")
    assert receive(data, Clinical(site="back")).clinical == Clinical(site="back")


def test_text_in_the_pixels_goes_to_quarantine_and_is_refused() -> None:
    saved: Saved = []
    data = dicom(BurnedInAnnotation="YES")
    for quarantine in (lambda *each: saved.append(each), None):
        with pytest.raises(Refused, match="burned into"):
            receive(data, device="camera", quarantine=quarantine)
    assert saved == [(data, "burned-in", "camera")]


def test_nothing_else_goes_to_quarantine() -> None:
    saved: Saved = []
    for data in (png(), dicom(), b"", dicom()[:-50]):
        with suppress(Refused):
            receive(data, quarantine=lambda *each: saved.append(each))
    assert saved == []


def test_a_picture_is_refused_where_only_dicom_is_accepted() -> None:
    with pytest.raises(Refused) as refusal:
        receive(png(), only_dicom=True)
    assert refusal.value.code == "unsupported-type"
