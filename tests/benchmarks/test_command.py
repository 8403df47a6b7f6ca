"""``python -m benchmarks``: the list, the output, and what is published."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.comparisons import NAMES, Place, comparison
from benchmarks.measuring import Goal, Way, unmeasured
from dermafed.shared.errors import DermaFedError
from dermafed.simulation.studies.marks import renew
from tests.paths import ROOT


def made_up(*, slow: bool = False, broken: bool = False) -> Any:
    """A comparison whose peer takes three times as long in the first turn, four times in the others."""

    @contextmanager
    def ways(place: Place) -> Iterator[Mapping[str, Way]]:
        if broken:
            raise DermaFedError("The peer is ill")
        ours, theirs = count(1), iter([3.0, 8.0, 12.0])
        yield {"ours": lambda: {"s": float(next(ours))}, "theirs": lambda: {"s": next(theirs)}}

    goals = (Goal("s", "ours", "theirs", 4), Goal("s", "ours", limit=1))
    return SimpleNamespace(GOALS=goals, SLOW=slow, ways=ways, __doc__="Two made-up ways.\n\nMore.")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the command over made-up comparisons; returns its exit code."""
    known = {"quick": made_up(), "slow": made_up(slow=True), "broken": made_up(broken=True)}
    monkeypatch.setattr(command, "NAMES", tuple(known))
    monkeypatch.setattr(command, "comparison", known.__getitem__)
    monkeypatch.setattr(command, "ROOT", tmp_path)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
        return command.main()

    return call


def test_a_comparison_is_printed_with_its_spread(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("quick") == 0
    out, err = capsys.readouterr()
    # Ours 1, 2, 3; theirs 3, 8, 12: 3, 4 and 4 times.
    assert out == (
        "quick\n"
        "  s: ours 2 (1 to 3), theirs 8 (3 to 12), 4 (3 to 4) times better; goal >= 4 times: yes\n"
        "  s: ours 2 (1 to 3); goal <= 1: no\n"
    )
    assert re.search(r"^quick: \d+ s, \d+ of them to prepare; load [\d.]+ at the start$", err, re.M)


def test_among_all_slow_ones_have_one_turn_and_a_broken_one_costs_no_other(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--json") == 1
    out, err = capsys.readouterr()
    lines = json.loads(out)["table"]
    found = [(one["comparison"], one["repeats"], one["reached"]) for one in lines]
    assert found == [
        *(("quick", 3, "yes"), ("quick", 3, "no")),
        *(("slow", 1, "no"), ("slow", 1, "yes")),
        *(("broken", None, "–"), ("broken", None, "–")),
    ]
    assert "broken could not be measured: The peer is ill." in err


def test_a_slow_one_has_the_turns_that_are_asked_of_it(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("slow", "--repeats", "2", "--json") == 0
    assert [one["repeats"] for one in json.loads(capsys.readouterr().out)["table"]] == [2, 2]


def test_publishing_leaves_other_comparisons_and_the_marks_show_the_spread(run: Any, tmp_path: Path) -> None:
    (tmp_path / "docs" / "results").mkdir(parents=True)
    assert run("slow", "--repeats", "1", "--publish") == 0
    assert run("quick", "--publish") == 0
    results = tmp_path / "docs" / "results"
    text = "<!-- figures benchmarks/table by=comparison show=times digits=1 judged=times --><!-- /figures -->"
    assert renew(text, results).splitlines()[3:5] == [
        "| slow | 3.0 (3.0 to 3.0) |",
        "| quick | 4.0 (3.0 to 4.0) |",
    ]


def test_an_unknown_name_is_refused(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("quik")
    assert "no comparison is named quik" in capsys.readouterr().err


def test_every_comparison_is_listed_with_peer_and_goal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--list"])
    assert command.main() == 0
    out = capsys.readouterr().out
    assert [line.partition(":")[0] for line in out.splitlines() if not line.startswith(" ")] == list(NAMES)
    assert "  BM3D + CLAHE against bm3d + CLAHE, seconds an image: >= 100 times\n" in out


def test_the_published_table_has_the_goals_of_the_code() -> None:
    published = json.loads((ROOT / "docs" / "results" / "benchmarks.json").read_text("utf-8"))
    asked = ("comparison", "figure", "way", "peer", "goal", "judged")
    expected = [line for name in NAMES for line in unmeasured(name, comparison(name).GOALS)]
    assert [[one[key] for key in asked] for one in published["lines"]["table"]] == [
        [one[key] for key in asked] for one in expected
    ]
