"""How a federation of many clinics runs on one real server over TLS, with light nodes.

    python -m benchmarks.scale [CLINICSxMEGABYTES...] [--rounds 3] [--straggler-seconds 3] [--publish]

``100x1`` is a federation of 100 clinics and a model of 1 MB. A light node is a thread that speaks a
SuperNode's protocol with a key of its own and trains nothing. A tenth of the clinics takes some seconds to
train. Measured are

- the share of one core that the idle server and one whole idle node (``fl-client start``) use;
- seconds from the request of a run until all clinics have agreed and are ready;
- seconds of a round after the first, beside what the same bytes take over TLS on this machine's loopback, and
  what the stragglers take;
- the highest resident memory of the server.

It fails where a clinic is lost or refused in any round. All of it runs on this machine, so that a round also
has the work of the clinics themselves. ``--publish`` saves a line for each federation in
``docs/results/scale.json``; those of other sizes stay there.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cost.crowd import Crowd
from benchmarks.results import ROOT, publish
from tests.journeys.whole_run import whole_run


def measure(clinics: int, rounds: int, megabytes: float, straggler_seconds: float) -> dict[str, Any]:
    """One federation, from its start to the end of its run."""
    with tempfile.TemporaryDirectory() as folder, whole_run(Path(folder)) as run:
        late = math.ceil(clinics / 10) if straggler_seconds else 0
        found = Crowd(run, clinics, late, straggler_seconds, megabytes).measure(rounds)
    return {"comparison": f"{clinics} clinics, {megabytes:g} MB", **found}


def show(found: Sequence[dict[str, Any]]) -> None:
    """Print what was measured as a table: a column for each federation."""
    table = Table("measured", *(one["comparison"] for one in found))
    for name in list(found[0])[1:]:
        values = (f"{one[name]:.2f}" if isinstance(one[name], float) else str(one[name]) for one in found)
        table.add_row(name.replace("_", " "), *values)
    Console().print(table)


def size(text: str) -> tuple[int, float]:
    """The clinics and megabytes of ``100x1``."""
    clinics, _, megabytes = text.partition("x")
    return int(clinics), float(megabytes)


def main() -> None:
    """Run the federations and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sizes", type=size, nargs="*", default=[(20, 1.0)], help="CLINICSxMEGABYTES; 20x1")
    parser.add_argument("--rounds", type=int, default=3, help="with the first, which is not timed")
    parser.add_argument("--straggler-seconds", type=float, default=3.0, help="of a tenth of the clinics")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print a JSON list and nothing else")
    output.add_argument("--publish", action="store_true", help="save the lines in docs/results/scale.json")
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    for clinics, megabytes in given.sizes:
        found.append(measure(clinics, given.rounds, megabytes, given.straggler_seconds))
        if given.publish:
            print(f"Saved: {publish(found, 'scale').relative_to(ROOT)}")
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
