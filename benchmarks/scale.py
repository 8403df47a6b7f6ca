"""How a federation of many clinics runs on one real server over TLS, with light nodes.

    python -m benchmarks.scale [--clinics 20] [--rounds 3] [--megabytes 1] [--straggler-seconds 3] [--json]

A light node is a thread that speaks a SuperNode's protocol with a key of its own and trains nothing. A tenth
of the clinics takes some seconds to train. Measured are

- the share of one core that the idle server and one whole idle node (``fl-client start``) use;
- seconds from the request of a run until all clinics have agreed and are ready;
- seconds of a round after the first, beside what the same bytes take over TLS on this machine's loopback, and
  what the stragglers take;
- the highest resident memory of the server.

It fails where a clinic is lost or refused in any round. All of it runs on this machine, so that a round also
has the work of the clinics themselves.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cost.crowd import Crowd
from tests.journeys.whole_run import whole_run


def measure(clinics: int, rounds: int, megabytes: float, straggler_seconds: float) -> dict[str, Any]:
    """One federation, from its start to the end of its run."""
    with tempfile.TemporaryDirectory() as folder, whole_run(Path(folder)) as run:
        late = math.ceil(clinics / 10) if straggler_seconds else 0
        return Crowd(run, clinics, late, straggler_seconds, megabytes).measure(rounds)


def show(found: dict[str, Any]) -> None:
    """Print what was measured as a table."""
    table = Table("measured", "value")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), f"{value:.2f}" if isinstance(value, float) else str(value))
    Console().print(table)


def main() -> None:
    """Run the federation and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clinics", type=int, default=20, help="number of clinics")
    parser.add_argument("--rounds", type=int, default=3, help="with the first, which is not timed")
    parser.add_argument("--megabytes", type=float, default=1.0, help="size of the model")
    parser.add_argument("--straggler-seconds", type=float, default=3.0, help="of a tenth of the clinics")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    given = parser.parse_args()
    found = measure(given.clinics, given.rounds, given.megabytes, given.straggler_seconds)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
