"""How long a user waits for the start: ``fl-simulate --help``, and ``fl-client serve`` until it answers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

from benchmarks.comparisons import Place
from benchmarks.measuring import Figures, Goal, Way, installed
from benchmarks.serve.node import make_clinic, serving
from benchmarks.untrained import save_untrained
from tests.commands.test_help import script

SECONDS, HELP, SERVE = "seconds", "fl-simulate --help", "fl-client serve"
GOALS = (Goal(SECONDS, HELP, limit=0.35), Goal(SECONDS, SERVE, limit=10))
SLOW = False


@contextmanager
def ways(place: Place) -> Iterator[Mapping[str, Way]]:
    """Both have run once before: files and bytecode are there, and the node's keys and its saved network."""
    model = save_untrained(place.folder, image_size=192, features="blocks", views_at_test=2)
    home, _ = make_clinic(place.folder, place.folder, devices=0)

    def ask_for_help() -> Figures:
        start = perf_counter()
        subprocess.run([script("fl-simulate"), "--help"], check=True, capture_output=True, env=installed())
        return {SECONDS: perf_counter() - start}

    def serve() -> Figures:
        start = perf_counter()
        with serving(home, str(model), place.folder / "serve.log"):
            took = perf_counter() - start
        return {SECONDS: took}

    found = {HELP: ask_for_help, SERVE: serve}
    for way in found.values():
        way()
    yield found
