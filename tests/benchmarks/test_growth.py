"""``python -m benchmarks.growth``: the exponents, the costs, the output, and what is published."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.growth import __main__ as command
from benchmarks.growth.cost import Cost, cost
from benchmarks.growth.curves import NAMES, curve, fitted
from benchmarks.growth.fit import Exponent, exponent
from dermafed.simulation.studies.marks import renew


def test_the_exponent_of_an_exact_power_is_that_power() -> None:
    sizes = [1, 10, 20, 40, 80]
    found = exponent(sizes, [5.0, *(3 * size**2 for size in sizes[1:])], larger=4)
    assert found.value == pytest.approx(2)
    assert found.half_width == pytest.approx(0, abs=1e-6)
    assert (found.start, found.linear) == (10, "no")


def test_the_interval_is_that_of_a_line_by_hand() -> None:
    # In logarithms to base 2: x = 0, 1, 2 and y = 0, 1, 1. Slope 1/2, residuals -1/6, 1/3, -1/6: their sum of
    # squares is 1/6, s^2 = 1/6 with one degree of freedom, the slope's error sqrt(1/6 / 2); t is 12.706.
    found = exponent([1, 2, 4], [1.0, 2.0, 2.0], larger=3)
    assert found.value == pytest.approx(0.5)
    assert found.half_width == pytest.approx(12.7062 * np.sqrt(1 / 12), rel=1e-4)


@pytest.mark.parametrize(
    ("value", "half_width", "linear"), [(1.1, 0.5, "yes"), (1.2, 0.1, "within error"), (1.2, 0.05, "no")]
)
def test_what_is_linear(value: float, half_width: float, linear: str) -> None:
    assert Exponent(value, half_width, 10).linear == linear


def test_too_few_sizes_are_not_fitted() -> None:
    with pytest.raises(ValueError, match="2 sizes and 2 costs for a fit of 3"):
        exponent([1, 2], [1.0, 2.0], larger=3)


def test_the_cost_of_a_work_is_its_memory_and_not_that_of_its_preparation() -> None:
    prepared: list[int] = []

    def prepare() -> int:
        prepared.append(np.ones(20_000_000).size)  # 160 MB, given back
        return 5_000_000

    found = cost(lambda size: np.ones(size), prepare)
    assert 38 < found.megabytes < 60  # float64
    assert 0 < found.seconds < 2
    assert len(prepared) >= 3  # repeats


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs the command over made-up costs: one part is linear, the other quadratic; returns its exit code."""

    def measured(name: str) -> list[dict[str, Any]]:
        sizes = curve(name).SIZES
        linear = [command.point(name, "linear", size, Cost(size / 100, 8.0)) for size in sizes]
        squared = [command.point(name, "squared", size, Cost(size**2 / 1e6, 9.0)) for size in sizes]
        return linear + (squared if name == "images" else [])

    monkeypatch.setattr(command, "measured", measured)
    monkeypatch.setattr(command, "ROOT", tmp_path)

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["growth", *arguments])
        return command.main()

    return call


def test_an_exponent_above_one_is_an_error(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("clinics") == 0
    assert run("images") == 1
    assert capsys.readouterr().out == (
        "clinics\n"
        "  linear: 10 s and 8 MB at 1,000 clinics; exponent 1.00 ± 0.00, linear: yes\n"
        "images\n"
        "  linear: 1e+03 s and 8 MB at 100,000 images; exponent 1.00 ± 0.00, linear: yes\n"
        "  squared: 1e+04 s and 9 MB at 100,000 images; exponent 2.00 ± 0.00, linear: no\n"
    )


def test_publishing_leaves_other_curves_and_draws_all(run: Any, tmp_path: Path) -> None:
    assert run("images", "--publish") == 1
    assert run("clinics", "--publish") == 0
    results = tmp_path / "docs" / "results"
    found = json.loads((results / "growth.json").read_text("utf-8"))["lines"]
    assert [line["curve"] for line in found["exponents"]] == ["clinics", "images", "images"]
    text = "<!-- figures growth/exponents part=squared show=exponent digits=2 --><!-- /figures -->"
    assert ">2.00 ± 0.00<" in renew(text, results)
    picture = (tmp_path / "docs" / "images" / "growth.svg").read_text("utf-8")
    assert "squared" in picture
    assert "clinics" in picture


def test_an_unknown_curve_is_refused(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("parsecs")
    assert "no curve is named parsecs" in capsys.readouterr().err


def test_every_curve_is_listed(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(NAMES)


def test_a_curve_is_measured_and_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ProcessPoolExecutor", lambda count, context: ThreadPoolExecutor(count))
    monkeypatch.setattr(curve("rounds"), "SIZES", (1, 2, 4))
    monkeypatch.setattr(curve("rounds"), "LARGER", 3)
    points = command.measured("rounds")
    assert [(one["part"], one["size"]) for one in points] == [("keep every round", n) for n in (1, 2, 4)]
    (line,) = fitted(points, "rounds")
    assert (line["from"], line["size"], line["variable"]) == (1, 4, "rounds")
    assert 0.3 < line["exponent"]["value"] < 3
