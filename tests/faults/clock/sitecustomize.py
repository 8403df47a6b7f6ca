"""Moves the clock of Python processes with this folder on PYTHONPATH, by the seconds in CLOCK_AHEAD."""

from __future__ import annotations

import datetime
import os
import time

AHEAD = float(os.environ["CLOCK_AHEAD"])
right_time = time.time


class Moved(datetime.datetime):
    """What Flower signs its calls with."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Moved:
        return super().now(tz) + datetime.timedelta(seconds=AHEAD)


time.time = lambda: right_time() + AHEAD
datetime.datetime = Moved  # type: ignore[misc]
