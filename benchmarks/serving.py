"""How fast a real node answers over HTTPS, for how long, and how much memory it takes.

    python -m benchmarks.serving MODEL IMAGES [--minutes 10] [--repeats 5] [--json]

MODEL is a .keras file, IMAGES a folder of full-size images as devices send them. A new clinic's node is made
(``fl-client init``, ``token``, ``serve``) in a folder that is removed at the end. Every request is new to it,
and its diagnosis is on the disk when it is answered. The devices run on the same machine and take their share
of it. Anything else that runs there is in the figures: measure on a quiet machine.

alone     one device, one image at a time: to the probabilities, and from the image in to the heatmap out
training  the same beside a real training at the priority of the node's worker
crowd     8 devices at once, each with a heatmap for every image, for some minutes: what was refused (429 and
          503 are the node's stated limits), what was lost (acknowledged, but not known afterwards), and the
          node's memory, with its slope after the first fifth of the time
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serve.device import BUSY, Device
from benchmarks.serve.memory import watched
from benchmarks.serve.node import Node, running_node
from benchmarks.serve.training import training

CROWD = 8
SUFFIXES = (".jpg", ".jpeg", ".png")
_WARM_UP = 3


def alone(node: Node, images: Sequence[bytes], repeats: int) -> dict[str, float]:
    """One device: percentiles of the seconds to the probabilities, and to the heatmap."""
    for image in images[:_WARM_UP]:
        Device(node, node.tokens[0]).diagnose(image, heatmap=True)
    quick, full = Device(node, node.tokens[0]), Device(node, node.tokens[0])
    for image in images * repeats:
        quick.diagnose(image, heatmap=False)
        full.diagnose(image, heatmap=True)
    return {
        "images": len(full.explained),
        **percentiles("probabilities", quick.diagnosed),
        **percentiles("heatmap", full.explained),
        "refused": sum((quick.refused + full.refused).values()),
    }


def crowd(node: Node, images: Sequence[bytes], minutes: float) -> dict[str, float]:
    """Many devices at once, as fast as the node lets them."""
    devices = [Device(node, token) for token in node.tokens]
    end = time.monotonic() + 60 * minutes

    def work(number: int) -> None:
        at = number
        while time.monotonic() < end:
            devices[number].diagnose(images[at % len(images)], heatmap=True)
            at += 1

    with watched(node.pid) as memory, ThreadPoolExecutor(CROWD) as threads:
        list(threads.map(work, range(CROWD)))
    refused = sum((device.refused for device in devices), Counter[int]())
    return {
        "images": sum(len(device.ids) for device in devices),
        **percentiles("heatmap", [seconds for device in devices for seconds in device.explained]),
        "refused_by_limit": sum(refused[status] for status in BUSY),
        "refused_otherwise": sum(count for status, count in refused.items() if status not in BUSY),
        "lost": sum(device.lost() for device in devices),
        "start_mb": memory.mb[0],
        "end_mb": memory.mb[-1],
        "peak_mb": max(memory.mb),
        "mb_per_minute": memory.slope(),
    }


def percentiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    middle, high = np.percentile(seconds, [50, 95]) if seconds else (np.nan, np.nan)
    return {f"{name}_p50": float(middle), f"{name}_p95": float(high)}


def measure(model: str, folder: Path, minutes: float, repeats: int) -> dict[str, Any]:
    images = [path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    with tempfile.TemporaryDirectory() as name, running_node(model, folder, Path(name), CROWD) as node:
        quiet = alone(node, images, repeats)
        with training(model):
            busy = alone(node, images, repeats)
        many = crowd(node, images, minutes)
    ratios = {key: busy[key] / quiet[key] for key in ("probabilities_p95", "heatmap_p95")}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "load_at_end": os.getloadavg()[0],
        "alone": quiet,
        "training": busy,
        "training_over_alone": ratios,
        "crowd": many,
    }


def show(found: dict[str, Any]) -> None:
    for title in ("alone", "training", "training_over_alone", "crowd"):
        table = Table(title.replace("_", " "), "", min_width=36)
        for name, value in found[title].items():
            table.add_row(name.replace("_", " "), f"{value:.3f}" if isinstance(value, float) else str(value))
        Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("images", type=Path)
    parser.add_argument("--minutes", type=float, default=10, help="of the crowd")
    parser.add_argument("--repeats", type=int, default=5, help="of all images, alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    given = parser.parse_args()
    found = measure(given.model, given.images, given.minutes, given.repeats)
    if given.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
