"""Probabilities for people: no more digits than are meaningful, and never certain."""

from __future__ import annotations

from dermafed.client.clinic.language.speech import number

_DIGITS = 4  # of a percentage, at most


def percent(probability: float, digits: int = 0) -> str:
    """A probability, as a percentage in the reader's language.

    Args:
        probability: in [0, 1].
        digits: after the point.

    Example:
        0.274 is 27 %, 0.004 is < 1 %, 0.999 is > 99 %.
    """
    least = 10.0 ** -(2 + digits)
    if probability < least:
        return f"< {number(100 * least, digits)} %"
    if probability > 1 - least:
        return f"> {number(100 - 100 * least, digits)} %"
    return f"{number(100 * probability, digits)} %"


def percents_apart(probability: float, threshold: float) -> tuple[str, str]:
    """A probability and a threshold, with as many digits as it takes to see which is higher.

    Args:
        probability: in [0, 1], as `threshold`.
        threshold: that it reaches or does not reach.

    Example:
        0.118 and 0.12 are 11.8 % and 12.0 %; 0.27 and 0.12 are 27 % and 12 %.
    """
    shown = ("", "")
    for digits in range(_DIGITS + 1):
        shown = percent(probability, digits), percent(threshold, digits)
        if shown[0] != shown[1] or probability == threshold:
            break
    return shown
