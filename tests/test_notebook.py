"""docs/example.ipynb: as it was executed, and that it can be executed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.paths import ROOT

CELLS: list[dict[str, Any]] = json.loads((ROOT / "docs" / "example.ipynb").read_text("utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]
SOURCE = "\n\n".join("".join(cell["source"]) for cell in CODE)


def test_every_cell_was_executed_in_order_without_an_error() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 2


def test_it_uses_the_public_interface_only() -> None:
    imports = [line for line in SOURCE.splitlines() if line.startswith(("import ", "from "))]
    assert [line for line in imports if "dermafed" in line] == ["import dermafed"]


@pytest.mark.slow
def test_it_runs(tmp_path: Path) -> None:
    """In a cell a process is started without importing the caller; here the guard stands for that."""
    body = "\n".join(f"    {line}" for line in SOURCE.splitlines())
    (tmp_path / "example.py").write_text(f'if __name__ == "__main__":\n{body}\n')
    environment = os.environ | {"MPLBACKEND": "agg", "DERMAFED_CACHE": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, env=environment, check=True, timeout=1800)
