"""``fl-client start`` with the worker that leaks on purpose: FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from dermafed.client.node.home import open_home
from dermafed.client.node.supervisor import run_node

if __name__ == "__main__":
    run_node(open_home(Path(sys.argv[1])), print, ("-m", "tests.journeys.leaking_worker"))
