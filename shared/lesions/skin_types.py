"""The skin type of Fitzpatrick, where a data set says it; it is never estimated from an image."""

from __future__ import annotations

from dermafed.shared.lesions.record import LesionRecord

SKIN_TYPES = ("I", "II", "III", "IV", "V", "VI")

_COLUMNS = {
    *("fitspatrick", "fitzpatrick", "fitzpatrick_skin_type", "fitzpatrick_type", "fitzpatrick_scale"),
    *("skin_type", "skintype", "phototype", "fst"),
}
"""Names of the column, in lower case; the first is PAD-UFES-20's."""

_TYPES = {text: name for number, name in enumerate(SKIN_TYPES, 1) for text in (name, f"{number}")}


def skin_type(record: LesionRecord) -> str | None:
    """A name in SKIN_TYPES; ``None`` where the source does not say it, or says something else.

    Example:
        ``fitspatrick`` 2.0, as PAD-UFES-20 writes it, is II; so is ``Type II``.
    """
    for name, value in record.attributes.items():
        if name.strip().lower().replace(" ", "_") in _COLUMNS:
            return _TYPES.get(value.strip().upper().removeprefix("TYPE").strip().removesuffix(".0"))
    return None
