"""Measures how cost grows with clinics, rounds, parameters, images and image size, and fits the exponents.

    python -m benchmarks.growth [CURVE...] [--json | --publish] [--list]

Each curve is measured in a process of its own, from the smallest size to the largest; some 10 minutes for
all on two cores. Costs are seconds of processor time, the least of some repeats, and memory beyond what the
process held before. The exponent is the slope of the logarithm of the seconds over that of the size, at the
larger sizes, with its 95 % interval; up to 1.1 counts as linear. Exit code 1: a cost grows faster than that,
beyond its error.

``--publish`` saves the lines in ``docs/results/growth.json``, leaves other curves there as they are, and
draws ``docs/images/growth.svg``; ``python -m dermafed.simulation.studies.publish`` then writes the documents.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.growth.cost import Cost
from benchmarks.growth.curves import NAMES, costs_at, curve, fitted
from benchmarks.growth.picture import draw
from benchmarks.measuring import load, tell
from benchmarks.results import ROOT, merged, published, save
from dermafed.shared.storage.atomic_files import make_folder

Line = dict[str, Any]


def main() -> int:
    """The command; exit code 1 where a cost grows faster than linearly, beyond its error."""
    given = arguments()
    names = given.names or list(NAMES)
    if given.list:
        for name in names:
            print(f"{name}: {(curve(name).__doc__ or '').splitlines()[0]}")
        return 0
    points: list[Line] = []
    for name in names:
        points += measured(name)
        if not given.json:
            print(name, *map(sentence, fitted(points, name)), sep="\n", flush=True)
        if given.publish:
            publish(points, ROOT)
    exponents = [line for name in names for line in fitted(points, name)]
    if given.json:
        print(json.dumps({"points": points, "exponents": exponents}, indent=2))
    if given.publish:
        tell("Saved: docs/results/growth.json. Now: python -m dermafed.simulation.studies.publish")
    return int(any(line["linear"] == "no" for line in exponents))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="CURVE", help="all by default")
    parser.add_argument("--list", action="store_true", help="name the curves")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    output.add_argument("--publish", action="store_true", help="save docs/results/growth.json")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no curve is named {', '.join(sorted(unknown))}; --list names them")
    return given


def measured(name: str) -> list[Line]:
    """The points of a curve."""
    start, before, points = time.monotonic(), load(), list[Line]()
    sizes = curve(name).SIZES
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        for size, found in zip(sizes, process.map(partial(costs_at, name), sizes), strict=True):
            points += [point(name, part, size, one) for part, one in found]
            tell(f"{name}, {size:,} {curve(name).VARIABLE}: {time.monotonic() - start:.0f} s")
    tell(f"{name}: load {before:.1f} at the start")
    return points


def point(name: str, part: str, size: int, found: Cost) -> Line:
    """A point as a line of the results."""
    return {"curve": name, "part": part, "size": size, "seconds": found.seconds, "MB": found.megabytes}


def sentence(line: Line) -> str:
    """An exponent for people."""
    power = line["exponent"]
    costs = f"{line['seconds']:.3g} s and {line['MB']:.0f} MB at {line['size']:,} {line['variable']}"
    fit = f"exponent {power['value']:.2f} ± {power['half_width']:.2f}, linear: {line['linear']}"
    return f"  {line['part']}: {costs}; {fit}"


def publish(points: Sequence[Line], root: Path) -> None:
    """Save the points beside those of other curves that were published before, and draw them."""
    found = merged(published("growth", "points", root), points, "curve")
    both = sorted(found, key=lambda one: NAMES.index(one["curve"]))
    exponents = [line for name in NAMES for line in fitted(both, name)]
    save("growth", {"points": both, "exponents": exponents}, root)
    images = root / "docs" / "images"
    make_folder(images)
    draw(both, images / "growth.svg")


if __name__ == "__main__":
    sys.exit(main())
