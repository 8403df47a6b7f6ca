"""Response times and memory of a real node over HTTPS.

    python -m benchmarks.serving MODEL IMAGES [--minutes 10] [--repeats 5] [--json]

MODEL is a .keras file, IMAGES a folder of full-size images as devices send them. The benchmark sets up a new
clinic's node (``fl-client init``, ``token``, ``serve``) in a folder that is removed at the end. Every request
is new, and its diagnosis is on the disk before the response. The devices run on the same machine and use part
of it. Other programs affect the results: measure on a quiet machine.

alone     one device, one image at a time: time to the probabilities, and to the heatmap
training  the same during a real training at the priority of the node's worker
crowd     8 devices at once, each with a heatmap for every image, for some minutes: requests that were refused
          (429 and 503 are the node's stated limits) or lost (acknowledged, but not found afterwards), and the
          node's memory, with its slope after the first fifth of the time
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.serve.node import BUSY, Device, Node, running_node
from benchmarks.serve.training import training

CROWD = 8
SUFFIXES = (".jpg", ".jpeg", ".png")
_WARM_UP = 3
_POLL_SECONDS = 2.0
_UNSETTLED = 0.2  # share of the time that the slope ignores: pools and caches fill


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
    """Many devices at once, as fast as the node allows."""
    devices = [Device(node, token) for token in node.tokens]
    end = time.monotonic() + 60 * minutes

    def work(number: int) -> None:
        at = number
        while time.monotonic() < end:
            devices[number].diagnose(images[at % len(images)], heatmap=True)
            at += 1

    with measured_memory(node.pid) as memory, ThreadPoolExecutor(CROWD) as threads:
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


@dataclass
class Memory:
    """Resident sets of a process.

    Attributes:
        seconds: times of the measurements, from the start.
        mb: the resident sets, in MB.
    """

    seconds: list[float] = field(default_factory=list)
    mb: list[float] = field(default_factory=list)

    def slope(self) -> float:
        """Slope in MB a minute, by least squares, after the first fifth of the time."""
        first = int(_UNSETTLED * len(self.mb))
        minutes = np.array(self.seconds[first:]) / 60
        return float(np.polyfit(minutes, self.mb[first:], 1)[0]) if len(minutes) > 1 else float("nan")


@contextmanager
def measured_memory(pid: int) -> Iterator[Memory]:
    """Measures a process's memory until the context ends."""
    memory, ended, start = Memory(), threading.Event(), time.monotonic()

    def watch() -> None:
        while True:
            memory.mb.append(resident_mb(pid))
            memory.seconds.append(time.monotonic() - start)
            if ended.wait(_POLL_SECONDS):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        ended.set()
        thread.join()


def resident_mb(pid: int) -> float:
    """The resident set of a process."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    raise ProcessLookupError(pid)


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
    parser.add_argument("--minutes", type=float, default=10, help="duration of the crowd")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of all images, alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    found = measure(options.model, options.images, options.minutes, options.repeats)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
