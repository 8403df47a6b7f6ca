"""Compares speed and cost with what users would use instead, on this machine, in turns, in one run.

    python -m benchmarks [NAME...] [--repeats 3] [--images FOLDER] [--json | --publish] [--list]

Each comparison prints our figures and the peer's, and how many times better ours are: the median over
the repeats, the smallest and the largest. Peers are installed into environments of their own, in the
cache folder. Measure on a machine that does nothing else: the load is printed.

``--publish`` saves the lines in ``docs/results/benchmarks.json``, and leaves those of other comparisons
there as they are; ``python -m dermafed.simulation.studies.publish`` then writes them into the documents.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparisons import NAMES, Comparison, Place, comparison
from benchmarks.measuring import alternate, line, load, tell, unmeasured
from benchmarks.results import ROOT, publish


def main() -> int:
    """The command; exit code 1 where a comparison could not be measured."""
    given = arguments()
    names = given.names or list(NAMES)
    if given.list:
        show_list(names)
        return 0
    if limits := [
        name for name in os.environ if name.endswith("_NUM_THREADS") or name.startswith("OPENBLAS")
    ]:
        tell(f"Unset {', '.join(sorted(limits))} before measuring: not both sides obey it")
    lines: list[dict[str, Any]] = []
    failed = False
    for name in names:
        found, whole = measured(name, comparison(name), given)
        lines += found
        failed |= not whole
        if not given.json:
            print(name, *map(sentence, found), sep="\n", flush=True)
        if given.publish:
            saved = publish(lines, "benchmarks", ROOT)
    if given.json:
        print(json.dumps({"table": lines, "cores": os.cpu_count()}, indent=2))
    if given.publish:
        tell(f"Saved: {saved.relative_to(ROOT)}. Now: python -m dermafed.simulation.studies.publish")
    return int(failed)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="all by default")
    parser.add_argument("--list", action="store_true", help="name the comparisons, their peers and goals")
    parser.add_argument(
        "--repeats", type=int, default=3, help="turns of each way; in a run of all, slow ones once"
    )
    parser.add_argument("--images", type=Path, help="a folder of photographs in place of drawn lesions")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    output.add_argument("--publish", action="store_true", help="save docs/results/benchmarks.json")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no comparison is named {', '.join(sorted(unknown))}; --list names them")
    if given.repeats < 1:
        parser.error("--repeats is at least 1")
    return given


def measured(name: str, compared: Comparison, given: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    """A comparison's lines, and whether it could be measured; where not, the lines are empty."""
    repeats = 1 if compared.SLOW and not given.names else given.repeats
    start, before = time.monotonic(), load()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), given.images, tell)
        try:
            with compared.ways(place) as ways:
                ready = time.monotonic()
                found = alternate(ways, repeats)
        except (Exception, SystemExit) as error:  # costs no other comparison its figures
            tell(f"{name} could not be measured: {str(error) or type(error).__name__}")
            return list(unmeasured(name, compared.GOALS)), False
    prepared, took = ready - start, time.monotonic() - start
    tell(f"{name}: {took:.0f} s, {prepared:.0f} of them to prepare; load {before:.1f} at the start")
    return [line(name, goal, found) | {"load": before} for goal in compared.GOALS], True


def show_list(names: Sequence[str]) -> None:
    """What is compared, with which peer, and the goal."""
    for name in names:
        compared = comparison(name)
        print(f"{name}: {(compared.__doc__ or '').splitlines()[0]}")
        for goal in compared.GOALS:
            against = f" against {goal.peer}" if goal.peer else ""
            print(f"  {goal.ours}{against}, {goal.figure}: {goal.words}")


def sentence(one: Mapping[str, Any]) -> str:
    """A line for people."""
    text = f"  {one['figure']}: {one['way']} {shown(one['ours'])}"
    if one["peer"] != "–":
        text += f", {one['peer']} {shown(one['theirs'])}, {shown(one['times'])} times better"
    return text + (f"; goal {one['goal']}: {one['reached']}" if one["goal"] != "–" else "")


def shown(spread: Mapping[str, float] | None) -> str:
    """A spread with three digits."""
    return "–" if spread is None else "{value:.3g} ({low:.3g} to {high:.3g})".format(**spread)


if __name__ == "__main__":
    sys.exit(main())
