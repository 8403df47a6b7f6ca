"""Save what benchmarks measured in the folder of results, beside what they measured before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dermafed.simulation.studies.publish import publish_benchmark

ROOT = Path(__file__).resolve().parent.parent


def publish(lines: Sequence[dict[str, Any]], name: str, root: Path = ROOT) -> Path:
    """Save lines in ``docs/results/NAME.json``; those of other comparisons stay there as they are.

    Returns:
        The file.
    """
    results = root / "docs" / "results" / f"{name}.json"
    old = json.loads(results.read_text("utf-8"))["lines"]["table"] if results.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / results.name
        output.write_text(json.dumps({"table": merged(old, lines)}), "utf-8")
        return publish_benchmark(output, root)


def merged(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The new lines, and of the old ones those of other comparisons, each where it was."""
    measured = {one["comparison"] for one in new}
    order = list(dict.fromkeys(one["comparison"] for one in (*old, *new)))
    both = [one for one in old if one["comparison"] not in measured] + list(new)
    return sorted(both, key=lambda one: order.index(one["comparison"]))
