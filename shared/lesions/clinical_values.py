"""Age, sex and body site as people and files write them, in any script."""

from __future__ import annotations

import re
import unicodedata

OLDEST = 120.0

# What spreadsheets, statistics programs and people write for a missing value.
_MISSING = frozenset(
    word.strip()
    for word in """
    ;unknown;unspecified;not specified;not available;not applicable;not known;not reported;not recorded
    ;not provided;missing;undefined;nan;-nan;na;n/a;n.a;n.a.;n. a.;#n/a;#na;#n/a n/a;<na>;nat;1.#ind;-1.#ind
    ;1.#qnan;-1.#qnan;none;null;(null);nil;(blank);#null!;#value!;#ref!;#name?;#div/0!;#num!;?;??;-;--;---;.
    ;unbekannt;k.a.;k. a.;keine angabe;inconnu;inconnue;desconocido;desconocida;sconosciuto;sconosciuta
    ;desconhecido;desconhecida;onbekend;ukendt;ukjent;okänd;okänt;tuntematon;nieznany;nieznana;neznámé;neznáme
    ;ismeretlen;bilinmiyor;άγνωστο;неизвестно;неизвестный;невідомо;غير معروف;לא ידוע;अज्ञात;ไม่ทราบ
    ;不明;未知;미상
    """.replace("\n", "").split(";")
)
_OTHER = frozenset(("other", "others", "unk"))
_NEITHER_SEX = frozenset(
    (
        *("diverse", "divers", "intersex", "nonbinary", "non-binary", "x", "o", "u", "d"),
        *("undifferentiated", "undetermined", "indeterminate", "ambiguous", "not disclosed"),
    )
)
# Words for the sexes in the languages of many clinics, Greek also without accents. Single letters other than
# f, w, m and Cyrillic ones are not here: "k" and "h" mean a sex in few languages.
_FEMALE = """
    f female w woman weiblich frau femme féminin femenino femenina mujer donna femmina femminile
    feminino feminina mulher vrouw vrouwelijk kvinna kvinde kvinne nainen kobieta žena ženský nő kadın
    γυναίκα γυναικα θήλυ θηλυ женский женщина жен ж жіноча жінка жін жена أنثى انثى عورت زن נקבה אישה महिला
    स्त्री मादा নারী মহিলা பெண் స్త్రీ หญิง ស្រី ຍິງ ქალი կին ሴት 女 女性 여 여성 여자 nữ perempuan femeie moteris
    sieviete naine žensko kona ♀
"""
_MALE = """
    m male man männlich mann homme masculin masculino masculina hombre uomo maschio maschile homem
    mannelijk mand mies mężczyzna muž mužský férfi erkek άνδρας ανδρασ άρρεν αρρεν мужской мужчина муж м
    чоловіча чоловік чол мъж ذكر مرد זכר גבר
    पुरुष नर পুরুষ ஆண் పురుషుడు ชาย ប្រុស ຊາຍ კაცი տղամարդ ወንድ 男 男性 남 남성 남자 nam laki-laki lelaki bărbat
    vyras vīrietis mees muško karl ♂
"""
_SEX = dict.fromkeys(map(str.casefold, _FEMALE.split()), "female") | dict.fromkeys(
    map(str.casefold, _MALE.split()), "male"
)
# Also Arabic vowel signs, which are written or not, and marks of direction.
_PLAIN = {ord("_"): " ", ord("–"): "-", ord("—"): "-"}
_PLAIN |= dict.fromkeys((*range(0x64B, 0x653), 0x640, 0x200E, 0x200F, 0x61C), "")
_AGE = re.compile(r"(?:>=?|≥)?\s*(\d{1,3}(?:[.,]\d+)?)\s*\+?\s*(?:y|yo|yrs?|years?(?: old)?)?", re.IGNORECASE)


def composed(text: str) -> str:
    """A text in Unicode's composed form (NFC), in which equal texts have equal characters."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def is_missing(text: str) -> bool:
    """Whether the text of a field means that its value is unknown."""
    return _word(text) in _MISSING


def names_none(text: str) -> bool:
    """Whether the text of a field that names a clinic, a patient or a lesion names none."""
    return _word(text) in _MISSING | {"unk"}


def read_number(text: str) -> float:
    """A number with a decimal point or a decimal comma.

    Raises:
        ValueError: it is none.
    """
    if "_" in text:
        raise ValueError(text)
    return float(re.sub(r"^(\s*[+-]?\d+),(\d+\s*)$", r"\1.\2", text))


def read_age(text: str) -> float | None:
    """Years; of ``85+``, as sources write whose oldest are not told apart, the number.

    Raises:
        ValueError: it is no age from 0 to 120.
    """
    if is_missing(text):
        return None
    try:
        age = read_number(text)
    except ValueError:
        written = _AGE.fullmatch(text.strip())
        if written is None:
            raise
        age = read_number(written[1])
    if not 0 <= age <= OLDEST:
        raise ValueError(text)
    return age


def read_sex(text: str) -> str | None:
    """``"female"``, ``"male"``, or ``None`` where it is missing or neither.

    Raises:
        ValueError: it is no sex.
    """
    word = _word(text)
    if word in _MISSING | _OTHER | _NEITHER_SEX:
        return None
    if word not in _SEX:
        raise ValueError(text)
    return _SEX[word]


def read_body_site(text: str) -> str | None:
    """A body site in the source's words, composed; ``None`` where it is missing or ``other``."""
    return None if _word(text) in _MISSING | _OTHER else composed(text.strip())


def is_letter(character: str) -> bool:
    """Whether it is a letter, or part of one: a combining mark, or the joiners that some scripts need."""
    return character.isalpha() or unicodedata.category(character)[0] == "M" or character in "\u200c\u200d"


def _word(text: str) -> str:
    return composed(" ".join(text.casefold().translate(_PLAIN).split()))
