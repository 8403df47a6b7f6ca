"""Durations as people write them: ``45s``, ``30m``, ``24h``, ``7d``."""

from __future__ import annotations

import re

from dermafed.shared.errors import SettingsError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhd])", re.ASCII)


def parse_duration(text: str, where: str) -> float:
    """Seconds of a duration.

    Raises:
        SettingsError: it is none, or zero.
    """
    found = _DURATION.fullmatch(text.strip())
    seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
    if seconds <= 0:
        raise SettingsError(
            f"{text!r} is no duration", where=where, remedy="Write for example 45s, 30m, 24h or 7d"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """The duration in the largest unit that needs no fraction."""
    for unit in ("d", "h", "m"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds) // _SECONDS[unit]}{unit}"
    return f"{seconds:g}s"
