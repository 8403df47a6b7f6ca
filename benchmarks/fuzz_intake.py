"""Fuzzes the intake with atheris: every input is accepted or refused, in under 1 GB and ten seconds.

    python -m benchmarks.fuzz_intake [--runs 1000000] [--corpus FOLDER]

Needs ``pip install atheris``. Prints the outcomes after every ten thousand executions. An input that breaks
the rule is written to the current folder as ``crash-...``; give its path as --replay to repeat it. Inputs
that reach new code are saved in the corpus folder, and the next run starts from them.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import atheris
import cv2

with atheris.instrument_imports(
    include=["dermafed.client.clinic.intake", "dermafed.shared.imaging.decoding", "PIL", "pydicom"]
):
    from tests.client.clinic.intake.fuzzing import seeds, take

EVERY = 10_000
MEGABYTES = 1024


class Tally:
    """Counts the outcomes of all executions."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.start = time.monotonic()

    def run(self, data: bytes) -> None:
        """One execution; atheris calls it."""
        self.outcomes[take(data)] += 1
        if self.outcomes.total() % EVERY == 0:
            print(self.line(), flush=True)

    def line(self) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        assert peak < MEGABYTES
        progress = {"executions": self.outcomes.total(), "seconds": round(time.monotonic() - self.start)}
        return json.dumps({**progress, "peak_mb": peak, **dict(self.outcomes.most_common())})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=Path(tempfile.gettempdir()) / "dermafed-corpus")
    parser.add_argument("--replay", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")  # Pillow's warnings about damaged tags
    if options.replay:
        print(take(options.replay.read_bytes()))
        return
    options.corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (options.corpus / f"seed-{number}").write_bytes(seed)
    limits = ["-timeout=3600", f"-rss_limit_mb={MEGABYTES}", "-max_len=20000", "-print_final_stats=1"]
    limits += [f"-runs={options.runs}", f"-seed={options.seed}"]
    atheris.Setup([sys.argv[0], *limits, str(options.corpus)], Tally().run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
