"""What Flower may log in the server: little, since clinics cause it, and its text may come from them."""

from __future__ import annotations

import logging
import re
import time

LINES_AN_HOUR = 100
LONGEST = 200  # characters of a line

_PLACE_AND_CODE = re.compile(r"(\[[^\]]*\])+")


class FlowerLog(logging.Filter):
    """Lets so many lines an hour pass, short and printable; of an error with a code, only place and code."""

    def __init__(self) -> None:
        super().__init__()
        self._since, self._lines = time.monotonic(), 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; shortens it."""
        if time.monotonic() - self._since > 3600:
            self._since, self._lines = time.monotonic(), 0
        self._lines += 1
        text = record.getMessage()
        found = _PLACE_AND_CODE.match(text)
        short = found[0] if found else text[:LONGEST]
        record.msg, record.args = "".join(c if c.isprintable() else "?" for c in short), ()
        return self._lines <= LINES_AN_HOUR
