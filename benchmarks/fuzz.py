"""Fuzzes with atheris what reads the bytes of others: each input ends as expected, within 1 GB and 10 s.

    python -m benchmarks.fuzz [TARGET...] [--runs 1000000] [--corpus FOLDER]

Needs ``pip install atheris``. Without a target, each has an equal part of the runs. Prints the outcomes after
every ten thousand executions and at the end. An input that breaks the rule is written to the current folder
as ``crash-...``; give its path as --replay to repeat it. Inputs that reach new code are saved in the corpus
folder, and the next run starts from them.
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import atheris
import cv2

from dermafed.shared.process import stay_offline
from tests.fuzzing.target import TARGETS

EVERY = 10_000
MEGABYTES = 1024


class Tally:
    """Counts the outcomes of all executions."""

    def __init__(self, name: str, take: Callable[[bytes], str], runs: int) -> None:
        self.name, self.take, self.runs = name, take, runs
        self.outcomes: Counter[str] = Counter()
        self.start = time.monotonic()

    def run(self, data: bytes) -> None:
        """One execution; atheris calls it."""
        self.outcomes[self.take(data)] += 1
        if self.outcomes.total() % EVERY == 0 or self.outcomes.total() == self.runs:
            print(self.line(), flush=True)

    def line(self) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        assert peak < MEGABYTES
        progress = {"executions": self.outcomes.total(), "seconds": round(time.monotonic() - self.start)}
        return json.dumps(
            {"target": self.name, **progress, "peak_mb": peak, **dict(self.outcomes.most_common())}
        )


def fuzz(name: str, options: argparse.Namespace) -> None:
    """Fuzz one target; ends the process."""
    target = TARGETS[name]
    with atheris.instrument_imports(include=list(target.covered)):
        take, seeds = target.load()
    if options.replay:
        print(take(options.replay.read_bytes()))
        return
    corpus = options.corpus / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    limits = ["-timeout=3600", f"-rss_limit_mb={MEGABYTES}", "-print_final_stats=1"]
    limits += [f"-max_len={target.longest}", f"-runs={options.runs}", f"-seed={options.seed}"]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], Tally(name, take, options.runs).run)
    atheris.Fuzz()


def each(names: list[str], options: argparse.Namespace) -> None:
    """Fuzz several targets, one after another."""
    for name in names:
        arguments = ["--runs", options.runs // len(names), "--seed", options.seed, "--corpus", options.corpus]
        command = [sys.executable, "-m", "benchmarks.fuzz", name, *map(str, arguments)]
        subprocess.run(command, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS)
    )
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=Path(tempfile.gettempdir()) / "dermafed-corpus")
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    stay_offline()
    cv2.setNumThreads(1)
    logging.disable()
    warnings.simplefilter("ignore")  # Pillow's warnings about damaged tags
    names = options.targets or list(TARGETS)
    if len(names) == 1:
        fuzz(names[0], options)
    else:
        each(names, options)


if __name__ == "__main__":
    main()
