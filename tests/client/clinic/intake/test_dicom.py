"""DICOM objects: the pixels of each encoding, what is read of the headers, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image
from pydicom import DataElement, Dataset
from pydicom.pixels.processing import convert_color_space
from pydicom.tag import Tag

from dermafed.client.clinic.intake.clinical import Clinical
from dermafed.client.clinic.intake.pixels import is_possible_ybr, is_probable_ybr
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused
from dermafed.shared.imaging.decoding import read_image
from tests.client.clinic.intake.dicom_kinds import GRAY, YBR, jpeg_of_12_bits, odd, private, region
from tests.client.clinic.intake.image_kinds import of_12_bits
from tests.client.clinic.intake.lossless import lossless_jpeg
from tests.client.clinic.intake.sample_files import SECRET, dicom, dicom_jpeg, jpeg, skin, without_jfif
from tests.shared.imaging.real_images import ham_paths, needs_real_images

PLAIN = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"]


def clinical(**values: object) -> Clinical:
    return receive(dicom(**values)).clinical


@pytest.mark.parametrize("syntax", PLAIN)
def test_plain_pixels_are_received_as_they_are(syntax: str) -> None:
    assert np.array_equal(receive(dicom(syntax=syntax)).image, skin())


def test_a_jpeg_in_dicom_gives_the_pixels_of_the_file() -> None:
    assert np.array_equal(receive(dicom_jpeg()).image, receive(jpeg()).image)


def test_a_jpeg_of_rgb_is_received_as_such() -> None:
    stored = jpeg(Image.fromarray(skin()), keep_rgb=True)
    received = receive(dicom_jpeg(stored, PhotometricInterpretation="RGB"))
    assert np.array_equal(received.image, receive(stored).image)
    assert np.abs(received.image.astype(int) - skin()).max() < 12


def test_planes_are_put_together() -> None:
    planes = np.ascontiguousarray(skin().transpose(2, 0, 1))
    data = dicom(PlanarConfiguration=1, PixelData=planes.tobytes())
    assert np.array_equal(receive(data).image, skin())


def test_ybr_becomes_rgb_as_pydicom_makes_it() -> None:
    received = receive(dicom(pixels=YBR, PhotometricInterpretation="YBR_FULL")).image
    expected = convert_color_space(YBR, "YBR_FULL", "RGB")
    assert np.abs(received.astype(int) - expected).max() <= 1


def test_halved_chroma_is_shared_by_two_pixels() -> None:
    pairs = YBR.reshape(-1, 2, 3)
    stored = np.stack([pairs[:, 0, 0], pairs[:, 1, 0], pairs[:, 0, 1], pairs[:, 0, 2]], axis=1)
    data = dicom(PhotometricInterpretation="YBR_FULL_422", PixelData=stored.tobytes())
    spread = pairs.copy()
    spread[:, 1, 1:] = pairs[:, 0, 1:]
    expected = convert_color_space(spread.reshape(YBR.shape), "YBR_FULL", "RGB")
    assert np.abs(receive(data).image.astype(int) - expected).max() <= 1


def test_gray_becomes_three_channels_and_monochrome1_is_inverted() -> None:
    three = np.repeat(GRAY[..., None], 3, axis=2)
    inverted = dicom(pixels=255 - GRAY, PhotometricInterpretation="MONOCHROME1")
    wide = dicom(pixels=GRAY.astype(np.uint16) * 16 + 7, BitsStored=12, HighBit=11)
    for data in (dicom(pixels=GRAY), inverted, wide):
        received = receive(data)
        assert np.array_equal(received.image, three)
        assert "gray" in {caution.code for caution in received.cautions}


@pytest.mark.parametrize(
    ("values", "age"),
    [
        ({"PatientAge": "054Y"}, 54),
        ({"PatientAge": "023M"}, 1),
        ({"PatientAge": "051W"}, 0),
        ({"PatientAge": "104Y"}, 90),
        ({"PatientAge": "999Y"}, None),
        ({"PatientBirthDate": "19700310"}, 54),
        ({"PatientBirthDate": "19700311"}, 53),  # a day before the birthday
        ({"PatientBirthDate": "19310101"}, 90),
        ({"PatientBirthDate": "20250101"}, None),
        ({"PatientBirthDate": "19700310", "StudyDate": ""}, None),
        ({"PatientBirthDate": "19700310", "StudyDate": "20240310-20250310"}, None),  # not a date
        (
            {"PatientBirthDate": "19700310", "StudyDate": "", "AcquisitionDateTime": "20240310101112.5+0100"},
            54,
        ),
        ({}, None),
    ],
)
def test_the_age_is_of_whole_years(values: dict[str, str], age: int | None) -> None:
    assert clinical(**values).age == age


def test_sex_and_body_site_come_from_standard_attributes() -> None:
    found = clinical(PatientSex="F", AnatomicRegionSequence=[region("Skin of back")], BodyPartExamined="HEAD")
    assert found == Clinical(None, "female", "Skin of back")
    assert clinical(PatientSex="O", BodyPartExamined="HEAD") == Clinical(None, None, "head")


def test_a_body_site_of_no_declared_character_set_is_none() -> None:
    item = Dataset()
    item.add(DataElement(Tag("CodeMeaning"), "LO", "背部".encode("gb2312")))
    assert clinical(AnatomicRegionSequence=[item]).site is None
    assert clinical(AnatomicRegionSequence=[item], BodyPartExamined="BACK").site == "back"
    assert clinical(AnatomicRegionSequence=[item], SpecificCharacterSet="GB18030").site == "背部"


@pytest.mark.parametrize("data", [of_12_bits(), jpeg_of_12_bits()])
def test_a_jpeg_of_12_bits_is_called_so(data: bytes) -> None:
    with pytest.raises(Refused, match="12 bits") as caught:
        receive(data)
    assert caught.value.code == "bit-depth"


def test_the_reference_is_what_an_answer_is_filed_by() -> None:
    reference = receive(private()).reference
    assert reference is not None
    headers = Dataset.from_json(reference)
    assert str(headers.PatientName) == f"{SECRET}^Else"
    assert (headers.PatientID, headers.StudyInstanceUID, headers.SOPInstanceUID) == (
        "4711",
        "1.2.3",
        "1.2.3.1",
    )
    assert reference.count(SECRET) == 1
    assert len(json.loads(reference)) == 7


def test_a_name_in_another_script_is_preserved() -> None:
    name = "Yamada^Tarou=山田^太郎"
    reference = receive(dicom(SpecificCharacterSet="ISO_IR 192", PatientName=name)).reference
    assert reference is not None
    assert str(Dataset.from_json(reference).PatientName) == name


def test_invalid_values_are_never_logged() -> None:
    """In a process of its own, since pytest sees warnings before the filters that the intake sets."""
    odd = {"SpecificCharacterSet": SECRET, "AccessionNumber": SECRET * 9, "StudyDate": SECRET}
    program = (
        "import sys; from dermafed.client.clinic.intake.receive import receive; "
        "receive(sys.stdin.buffer.read())"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = dicom(**odd)
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert SECRET.encode() not in done.stdout + done.stderr


@needs_real_images
def test_ybr_and_rgb_are_distinguished_on_real_skin() -> None:
    images = [read_image(path) for path in ham_paths(60)]
    stored = [np.asarray(Image.fromarray(image).convert("YCbCr")) for image in images]
    assert not any(is_probable_ybr(image) for image in images)
    assert sum(is_probable_ybr(ybr) for ybr in stored) >= 54
    assert all(is_possible_ybr(ybr) for ybr in stored)
    assert sum(not is_possible_ybr(image) for image in images) >= 45


def test_a_jpeg_without_colour_markers_called_ybr_is_received() -> None:
    data = without_jfif(jpeg(subsampling=0))
    received = receive(dicom_jpeg(data, PhotometricInterpretation="YBR_FULL"))
    assert np.array_equal(received.image, receive(data).image)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"])
def test_a_lossless_jpeg_gives_the_pixels_that_it_was_made_of(syntax: str) -> None:
    data = dicom_jpeg(lossless_jpeg(skin()), syntax, PhotometricInterpretation="RGB")
    assert np.array_equal(receive(data).image, skin())


@pytest.mark.parametrize(
    ("spacing", "scale"),
    [
        ([0.02, 0.02], 0.02),
        ([0.0201, 0.02], 0.02005),
        ([0.03, 0.02], None),  # not square
        ([5, 5], None),  # of a page
        ([0, 0], None),
        ([-0.02, -0.02], None),
        ([0.02], None),
    ],
)
def test_the_scale_is_read_where_it_can_be_true(spacing: list[float], scale: float | None) -> None:
    assert receive(dicom(PixelSpacing=spacing)).mm_per_pixel == pytest.approx(scale)
    assert receive(dicom()).mm_per_pixel is None


def test_a_scale_that_is_no_number_refuses_nothing() -> None:
    assert receive(odd(PixelSpacing=b"about 1")).mm_per_pixel is None
