"""Metadata: the four fields, strictly; whatever else comes is refused without being repeated."""

from __future__ import annotations

import json
import unicodedata
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermafed.client.clinic.intake.clinical import Clinical, read_clinical, read_scale
from dermafed.client.clinic.intake.refusals import Refused


def test_all_fields_are_read() -> None:
    text = '{"age": 54, "sex": "female", "site": "lower back (left)", "request": "a-1:b.c_2"}'
    assert read_clinical(text) == (Clinical(54, "female", "lower back (left)"), "a-1:b.c_2")
    assert read_clinical(text.encode()) == read_clinical(text)


def test_every_field_may_be_missing_or_null() -> None:
    assert read_clinical(b"{}") == (Clinical(), None)
    assert read_clinical('{"age": null, "sex": null, "site": null, "request": null}') == (Clinical(), None)


@pytest.mark.parametrize(("given", "expected"), [(0, 0), (89, 89), (90, 90), (91, 90), (120, 90)])
def test_ages_from_90_on_are_90(given: int, expected: int) -> None:
    assert read_clinical(f'{{"age": {given}}}')[0].age == expected


@pytest.mark.parametrize("age", ["-1", "121", "54.5", "true", '"54"', "[54]", "1e4", "9" * 3000])
def test_other_ages_are_refused(age: str) -> None:
    with pytest.raises(Refused, match="age") as caught:
        read_clinical(f'{{"age": {age}}}')
    assert caught.value.code == "metadata-value"


def test_an_unknown_field_is_named_and_its_value_is_not() -> None:
    with pytest.raises(Refused, match="'patient_name'") as caught:
        read_clinical('{"patient_name": "Sauerkraut"}')
    assert "Sauerkraut" not in str(caught.value)


def test_a_body_site_may_be_in_any_script() -> None:
    assert read_clinical('{"site": "Rücken"}')[0].site == "Rücken"
    assert read_clinical('{"site": "背中"}')[0].site == "背中"
    for site in ("पीठ", "หลัง", "ظَهر", "می\u200cخواهم", "head & neck", "l’épaule", "Ö"):
        assert read_clinical(json.dumps({"site": site}))[0].site == unicodedata.normalize("NFC", site)
        decomposed = unicodedata.normalize("NFD", site)
        assert read_clinical(json.dumps({"site": decomposed}))[0].site == unicodedata.normalize("NFC", site)


@pytest.mark.parametrize(
    "site",
    [
        *(
            "aixel·la",
            "རྒྱབ་",
            "ខ្នង\u200bខាងក្រោម",
            "\u200fظهر\u200f",
            "رأس، رقبة",
            "背（左）",
            "背、左",
            "手－左",
        ),
        *("upper\u00a0back", "背\u3000左", "bras – gauche", "head‑neck", "back (“left”)", "ጀርባ፡ግራ", "כף־יד"),
    ],
)
def test_a_body_site_may_have_the_signs_of_its_script(site: str) -> None:
    assert read_clinical(json.dumps({"site": f" {site} \n"}))[0].site == unicodedata.normalize("NFC", site)


@pytest.mark.parametrize("text", ["\ufeff{}", b"\xef\xbb\xbf{}"])
def test_a_byte_order_mark_is_no_part_of_the_metadata(text: str | bytes) -> None:
    assert read_clinical(text) == (Clinical(), None)


@pytest.mark.parametrize("word", ["other", "Unknown", "unknown", "NA", ""])
def test_other_and_unknown_are_missing_values(word: str) -> None:
    assert read_clinical(json.dumps({"sex": word, "site": word})) == (Clinical(), None)


def test_sex_in_any_script_and_case() -> None:
    for word in ("Female", "महिला", "女", "weiblich"):
        assert read_clinical(json.dumps({"sex": word}))[0].sex == "female"


@pytest.mark.parametrize(
    "site",
    [
        "\u0301",
        "a\u202eb",
        "a\u0000b",
        "back\n2",
        "back\nleft",
        "back 2",
        "१",
        "<b>",
        "a\\b",
        "a" * 65,
        "😀",
        ["back"],
        3,
    ],
)
def test_refuses_what_is_no_body_site(site: object) -> None:
    with pytest.raises(Refused):
        read_clinical(json.dumps({"site": site}))


def test_a_whole_number_may_have_a_decimal_point() -> None:
    assert read_clinical('{"age": 54.0}')[0].age == 54
    for age in ("54.5", "1e400", "-1.0", "true"):
        with pytest.raises(Refused):
            read_clinical(f'{{"age": {age}}}')


@given(st.binary(max_size=200) | st.text(max_size=100))
def test_anything_is_read_or_refused(text: bytes | str) -> None:
    with suppress(Refused):  # and nothing else
        clinical, request = read_clinical(text)
        assert clinical.age is None or 0 <= clinical.age <= 90
        assert request is None or 0 < len(request) <= 64


@given(
    st.none() | st.integers(0, 89),
    st.sampled_from([None, "female", "male"]),
    st.none() | st.from_regex(r"[A-Za-z ]{0,20}", fullmatch=True).map(lambda text: f"a{text}"),
    st.none() | st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True),
)
def test_valid_metadata_are_read_as_sent(
    age: int | None, sex: str | None, site: str | None, request: str | None
) -> None:
    """But for blanks around the body site."""
    text = json.dumps({"age": age, "sex": sex, "site": site, "request": request})
    assert read_clinical(text) == (Clinical(age, sex, site and site.strip()), request)


@pytest.mark.parametrize(("given", "scale"), [("0.02", 0.02), ("1", 1.0), ("null", None)])
def test_the_scale_of_an_image(given: str, scale: float | None) -> None:
    text = f'{{"age": 54, "mm_per_pixel": {given}}}'
    assert read_scale(text) == scale
    assert read_clinical(text) == (Clinical(54), None)
    assert read_scale("{}") is None


@pytest.mark.parametrize("given", ["0", "-0.1", "1.5", '"0.02"', "true", "[0.1]", "1e400"])
def test_an_impossible_scale_is_refused(given: str) -> None:
    with pytest.raises(Refused, match="mm_per_pixel") as caught:
        read_scale(f'{{"mm_per_pixel": {given}}}')
    assert caught.value.code == "metadata-value"
