"""Save what benchmarks measured in the folder of results, beside what they measured before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dermafed.simulation.studies.publish import publish_benchmark

ROOT = Path(__file__).resolve().parent.parent


def publish(lines: Sequence[dict[str, Any]], name: str, root: Path = ROOT) -> Path:
    """Save lines in ``docs/results/NAME.json``; those of other comparisons stay there as they are.

    Returns:
        The file.
    """
    return save(name, {"table": merged(published(name, "table", root), lines)}, root)


def published(name: str, lines: str, root: Path = ROOT) -> list[dict[str, Any]]:
    """The lines of a result file; none where nothing was published."""
    results = root / "docs" / "results" / f"{name}.json"
    found: list[dict[str, Any]] = (
        json.loads(results.read_text("utf-8"))["lines"][lines] if results.exists() else []
    )
    return found


def save(name: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], root: Path = ROOT) -> Path:
    """Save tables by their names as ``docs/results/NAME.json``, in place of what is there."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / f"{name}.json"
        output.write_text(json.dumps(tables), "utf-8")
        return publish_benchmark(output, root)


def merged(
    old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]], key: str = "comparison"
) -> list[dict[str, Any]]:
    """The new lines, and of the old ones those of other comparisons, each where it was."""
    measured = {one[key] for one in new}
    order = list(dict.fromkeys(one[key] for one in (*old, *new)))
    both = [one for one in old if one[key] not in measured] + list(new)
    return sorted(both, key=lambda one: order.index(one[key]))
