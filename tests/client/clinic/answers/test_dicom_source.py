"""What answers share with their image: patient and study as they came, valid or not, to the last byte."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag

from dermafed.client.clinic.answers.dicom_source import has_image, share, source_of, to_file
from dermafed.client.clinic.answers.secondary_capture import secondary_capture
from dermafed.client.clinic.answers.structured_report import structured_report
from dermafed.client.clinic.intake.elements import elements, split_file
from dermafed.client.clinic.intake.filing import TEXTS, UIDS, is_valid
from dermafed.client.clinic.intake.receive import Received, receive
from tests.client.clinic.answers.sample import DOUBTED, PLAIN
from tests.client.clinic.intake.sample_files import dicom, with_elements

WANG = "王^小明".encode("gb2312")
OVERLAY = np.zeros((64, 64, 3), np.uint8)


def received(**values: bytes) -> Received:
    return receive(with_elements(dicom(), **values), only_dicom=True)


def written(file: bytes) -> dict[int, bytes]:
    """The bytes of each element, without padding."""
    _, encoded = split_file(file)
    found = elements(encoded, 0, explicit=True)
    return {each.tag: bytes(encoded[each.value : each.end]).rstrip(b" \0") for each in found}


def answers(reference: str | None) -> list[dict[int, bytes]]:
    made = (structured_report(DOUBTED, reference), secondary_capture(DOUBTED, OVERLAY, reference))
    return [written(to_file(each)) for each in made]


@pytest.mark.parametrize(
    "values",
    [
        {"ReferringPhysicianName": b"A^B\\C^D"},  # two physicians
        {"PatientID": b"12\\34"},
        {"PatientID": b"1" * 80},
        {"PatientID": b" 0012"},
        {"PatientID": b"a\nb\tc"},
        {"AccessionNumber": b"2" * 40, "StudyID": b"x" * 100},
        {"StudyDate": b"20240229", "StudyTime": b"235960.999999", "PatientBirthDate": b"00010101"},
        {"StudyInstanceUID": b"1.2.003.4", "SeriesInstanceUID": b"01.2"},
        {"StudyInstanceUID": b"1.2." + b"3" * 90},
        {"StudyInstanceUID": b"1..2."},
        {"PatientName": WANG},  # without a character set
        {"PatientName": "Müller^Änne".encode(), "PatientID": b"\xfc7"},
        {"PatientName": WANG, "SpecificCharacterSet": b"GB2312"},  # no term of DICOM's
        {"PatientName": WANG, "SpecificCharacterSet": b"ISO_IR 192"},
        {"PatientName": WANG, "SpecificCharacterSet": b"\\ISO 2022 IR 58"},  # without escapes
        {"PatientName": b"Wang^Xm=\x1b$)A" + WANG, "SpecificCharacterSet": b"\\ISO 2022 IR 58"},
        {"PatientName": b"Y^T=\x1b$B;3ED\x1b(B", "SpecificCharacterSet": b"\\ISO 2022 IR 87"},
        {"PatientName": b"Y^T=\x1b$B;3ED\x1b(B"},
        {"PatientName": b"a=b=c=d="},
    ],
)
def test_what_came_is_passed_on_to_the_last_byte(values: dict[str, bytes]) -> None:
    came = received(**values)
    assert not [each for each in came.cautions if each.code == "filing"]
    assert has_image(source_of(PLAIN, came.reference))
    for answer in answers(came.reference):
        for keyword, value in values.items():
            if keyword in answer_attributes():
                assert answer[Tag(keyword)] == value


def answer_attributes() -> set[str]:
    return {*TEXTS, *UIDS} - {"SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID"}


@pytest.mark.parametrize("declared", [b"GB18030", b"GBK", b"ISO_IR 100", b"ISO_IR 192"])
def test_a_text_of_a_declared_character_set_is_passed_on_as_text(declared: bytes) -> None:
    name = "Müller^Änne" if declared.startswith(b"ISO") else "王^小明"
    encoding = {b"ISO_IR 100": "latin-1", b"ISO_IR 192": "utf-8"}.get(declared, "gb18030")
    came = received(PatientName=name.encode(encoding), SpecificCharacterSet=declared)
    for answer in answers(came.reference):
        assert answer[Tag("SpecificCharacterSet")] == b"ISO_IR 192"
        assert answer[Tag("PatientName")].decode() == name


def test_an_answer_to_a_text_of_no_declared_character_set_declares_none_either() -> None:
    for answer in answers(received(PatientName=WANG).reference):
        assert Tag("SpecificCharacterSet") not in answer


def test_the_image_that_an_answer_names_is_named_as_it_came() -> None:
    came = received(SOPInstanceUID=b"1.2.003.5", SeriesInstanceUID=b"1.2.0")
    image = secondary_capture(PLAIN, OVERLAY, came.reference).SourceImageSequence[0]
    assert image.ReferencedSOPInstanceUID == "1.2.003.5"


def test_what_is_too_long_is_left_out_and_stated_without_its_value() -> None:
    came = received(PatientID=b"4711" * 2500, PatientName=b"A" * 9000)
    (caution,) = [each for each in came.cautions if each.code == "filing"]
    assert "PatientName, PatientID" in caution.text
    assert "4711" not in caution.text
    for answer in answers(came.reference):
        assert answer[Tag("PatientID")] == b""


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDate", b"20201340"),
        ("StudyDate", b"20230229"),
        ("StudyDate", b"20200101-20201231"),
        ("StudyDate", b"20200101\\20200102"),
        ("StudyDate", b"2020.01.01"),
        ("StudyDate", b"yesterday"),
        ("PatientBirthDate", b"00000000"),
        ("PatientBirthDate", b"1970"),
        ("StudyTime", b"996199"),
        ("StudyTime", b"10:10:10"),
        ("StudyTime", b"1000-1100"),
        ("PatientSex", b"female"),
        ("PatientSex", b"\xc5\xae"),
    ],
)
def test_impossible_values_are_left_out_and_stated(keyword: str, value: bytes) -> None:
    came = received(**{keyword: value})
    (caution,) = [each for each in came.cautions if each.code == "filing"]
    assert keyword in caution.text
    assert value.decode("latin-1") not in caution.text
    for answer in answers(came.reference):
        assert answer[Tag(keyword)] == b""


def test_references_of_before_are_read() -> None:
    before = (
        '{"00080018": {"vr": "UI", "Value": ["1.2.3"]}, "0020000D": {"vr": "UI", "Value": ["1.2"]},'
        ' "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Beispiel^B\\u00e4rbel"}]}}'
    )
    for answer in answers(before):
        assert answer[Tag("PatientName")].decode() == "Beispiel^Bärbel"
        assert answer[Tag("SpecificCharacterSet")] == b"ISO_IR 192"


FREE = [keyword for keyword in TEXTS if is_valid(keyword, "any")]
CHARSETS = {b"": "ascii", b"GB18030": "gb18030", b"ISO_IR 192": "utf-8", b"\\ISO 2022 IR 87": "iso2022_jp"}


@cache
def head() -> FileMetaDataset:
    return structured_report(PLAIN).file_meta


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FREE), st.binary(max_size=40), st.sampled_from(sorted(CHARSETS)))
def test_any_bytes_come_back(keyword: str, value: bytes, declared: bytes) -> None:
    came = received(**{keyword: value, "SpecificCharacterSet": declared})
    answer = Dataset()
    share(answer, source_of(PLAIN, came.reference))
    answer.file_meta = deepcopy(head())
    found, expected = written(to_file(answer)).get(Tag(keyword), b""), value.rstrip(b" \0")
    assert found == expected or found.decode() == expected.decode(CHARSETS[declared])
