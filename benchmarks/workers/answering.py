"""The side of a worker: prepares once, then measures once for each line of its standard input.

Uses the standard library only, since a peer's environment has nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping


def answer(prepare: Callable[[], Callable[[], Mapping[str, float]]]) -> None:
    """Prepares, says so by an empty object, and answers each line with the figures of a measurement as JSON.

    What the libraries print goes to the standard error.
    """
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        measure = prepare()
        print("{}", file=answers, flush=True)
        for _ in sys.stdin:
            print(json.dumps(dict(measure())), file=answers, flush=True)
