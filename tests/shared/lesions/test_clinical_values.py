from __future__ import annotations

import unicodedata

import pytest

from dermafed.shared.lesions.clinical_values import is_missing, names_none, read_age, read_body_site, read_sex


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("54", 54),
        ("54.0", 54),
        ("40,5", 40.5),
        ("85+", 85),
        (" 90 + ", 90),
        (">85", 85),
        ("≥ 85", 85),
        ("45 years", 45),
        ("45y", 45),
        ("4.5E+01", 45),
        ("", None),
        ("NaN", None),
        ("Unknown", None),
        ("n.a.", None),
    ],
)
def test_ages(text: str, age: float | None) -> None:
    assert read_age(text) == age


@pytest.mark.parametrize("text", ["old", "121", "-1", "1965", "inf", "4_5", "40-45", "1,234,5", "<5", "+"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_age(text)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("F", "female"),
        ("weiblich", "female"),
        ("MÄNNLICH", "male"),
        ("Žena", "female"),
        ("महिला", "female"),
        ("पुरुष", "male"),
        ("ชาย", "male"),
        ("女", "female"),
        ("نْ", ValueError),
        ("ذَكَر", "male"),
        ("\u200fأُنْثَى\u200f", "female"),
        ("ΓΥΝΑΙΚΑ", "female"),
        ("Άνδρας", "male"),
        ("М", "male"),
        ("Ж", "female"),
        ("நபர்", ValueError),
        ("பெண்", "female"),
        ("পুরুষ", "male"),
        ("undifferentiated", None),
        ("unbekannt", None),
        ("неизвестно", None),
        ("other", None),
        ("Unknown", None),
        ("O", None),
        ("NA", None),
        ("yes", ValueError),
    ],
)
def test_sexes_in_any_script(form: str, text: str, sex: object) -> None:
    written = unicodedata.normalize(form, text)  # type: ignore[arg-type]
    if sex is ValueError:
        with pytest.raises(ValueError, match=r"."):
            read_sex(written)
    else:
        assert read_sex(written) == sex


def test_body_sites() -> None:
    assert read_body_site(" head & neck ") == "head & neck"
    assert read_body_site(unicodedata.normalize("NFD", "Rücken")) == "Rücken"
    assert [read_body_site(text) for text in ("other", "Unknown", "", "N/A", "-")] == [None] * 5


@pytest.mark.parametrize(
    "word",
    [
        *(
            "-nan",
            "#N/A N/A",
            "#NA",
            "(null)",
            "(blank)",
            "#VALUE!",
            "1.#IND",
            "not_specified",
            "Not  reported",
        ),
        *("missing", "undefined", "k. A.", "–", "άγνωστο", "不明", unicodedata.normalize("NFD", "okänd")),
    ],
)
def test_words_for_missing_values_name_nobody(word: str) -> None:
    assert is_missing(word)
    assert names_none(word)


def test_unk_is_a_class_of_isic_2019_and_no_clinic() -> None:
    assert names_none("UNK")
    assert not is_missing("UNK")
    assert not names_none("other")
