"""As the summing worker, with a clinic's own app, whose network is a tiny one: FOLDER ADDRESS."""

from __future__ import annotations

import sys
from pathlib import Path

from dermafed.client.node.node_app import build_node_app
from tests.faults.summing_worker import main
from tests.shared.training.tiny import tiny_backbones

if __name__ == "__main__":
    with tiny_backbones():
        main(Path(sys.argv[1]), sys.argv[2], build_node_app)
