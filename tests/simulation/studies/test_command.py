"""A quick study through the command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from dermafed.simulation import cli
from tests.commands.small_datasets import command
from tests.commands.test_help import script
from tests.commands.tiny_arms import tiny_arms

pytestmark = pytest.mark.journey


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    line = [script("fl-simulate"), "study", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_quick_study_is_run_once_and_continued(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run("ablation", "--quick", "--out", out, "--json")
    assert first.returncode == 0, first.stderr
    lines = json.loads(first.stdout)
    assert {len(line["values"]) for line in lines} == {2}
    study = json.loads((out / "study.json").read_text("utf-8"))
    assert {line["row"] for line in lines} == set(study["rows"])
    table = (out / "table.md").read_text("utf-8")
    assert "the network alone" in table

    results = sorted(out.glob("runs/*/seed-*/result.json"))
    assert len(results) == 2 * len(study["rows"])
    assert study["rows"]["Score-CAM-guided"] == {"of": "with BM3D and CLAHE", "look": "scorecam"}
    lost = out / "runs" / "the-network-alone" / "seed-0" / "result.json"
    lost.unlink()  # as if killed before its end
    results.remove(lost)
    before = [path.stat().st_mtime_ns for path in results]
    again = run("ablation", "--quick", "--out", out, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == lines
    assert [path.stat().st_mtime_ns for path in results] == before

    part = run("ablation", "--quick", "--out", out, "--row", "the network alone", "--json")
    assert json.loads(part.stdout) == [line for line in lines if line["row"] == "the network alone"]
    assert (out / "table.md").read_text("utf-8") == table

    for other in (("--weights", "lite0"), ("--backbone", "EfficientNetB1")):
        refused = run("ablation", "--quick", "--out", out, *other)
        assert refused.returncode == 2
        assert "other settings" in refused.stderr


STUDY = """
judgements = ["models", "fairness"]
[rows.plain]
data = "synthetic"
backbone = "EfficientNetB7"
features = "pooled"
weights = "none"
rounds = 1
steps = 1
image_size = 32
frozen_blocks = 0
denoise = "none"
baselines = false
[quick]
"""


def test_model_cards_of_a_study_by_group_have_metrics_by_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.toml").write_text(STUDY)
    out = tmp_path / "out"
    with tiny_arms():
        done = command(cli.main, capsys, "study", tmp_path / "one.toml", "--quick", "--out", out)
    assert done.code == 0, done.err
    card = (out / "runs" / "plain" / "seed-0" / "card.md").read_text("utf-8")
    assert "| sex: female |" in card
    assert "Not measured: nobody knows" not in card
    assert {path.name for path in out.glob("*.svg")} == {"models.svg", "fairness.svg"}
