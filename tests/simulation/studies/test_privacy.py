"""The table of the study ``privacy``: what each row's server sees; one table with the study ``hostile``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dermafed.server.rounds.checkpoint import RunState, save_state
from dermafed.server.rounds.history import HistoryRow, write_history
from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.marks import renew
from dermafed.simulation.studies.privacy import analyse, exposure_of
from dermafed.simulation.studies.study import read_study
from dermafed.simulation.studies.study_runs import RESULT_FILE, StudyRun
from tests.server.small_clinics import start_weights

LAST_LAYER: dict[str, Any] = {"frozen_blocks": 7}
PRIVATE = {"dp": {"epsilon": 1.0, "delta": 1e-4, "rate": 0.5}, "learning_rate": 1.0, "epochs": 1, "rounds": 2}


def finished(folder: Path, row: str, score: float, **settings: Any) -> StudyRun:
    out = folder / row
    federated = out / "arms" / "federated"
    federated.mkdir(parents=True)
    history = (HistoryRow(1, 1, 1, 1, 1, 1, 3, "", 4.0, 0),)
    save_state(federated, RunState(1, start_weights(), {}, history, {}))
    write_history(federated, history)
    test = {"per_class": {"melanoma": {"auc": score + 0.1}}}
    content = {"federated": {"balanced_accuracy": score, "test": test}, "clinics": [{}, {}]}
    (out / RESULT_FILE).write_text(json.dumps(content), "utf-8")
    return StudyRun(row, RunSettings(**settings), out)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder, random = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    np.savez(
        folder / "patients.npz",
        features=random.normal(scale=0.4, size=(140, 40)),
        labels=random.integers(0, 3, 140),
        clinics=np.repeat([0, 1], [80, 60]),
        pictures=random.uniform(size=(140, 16, 16, 3)),
    )
    runs = [
        finished(folder, "none", 0.6, **LAST_LAYER),
        finished(folder, "median", 0.58, **LAST_LAYER, rule="median"),
        finished(folder, "epsilon 1", 0.4, **PRIVATE),
        finished(folder, "whole", 0.7, frozen_blocks=0),
    ]
    return folder, analyse(runs, folder)


def test_each_row_has_its_figures(study: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, lines = study
    table = {(line["defence"], line["figure"]): line["mean"] for line in lines}
    assert table["none", "balanced_accuracy"] == 0.6
    assert table["whole", "melanoma_auc"] == pytest.approx(0.8)
    assert table["median", "seconds"] == 4
    assert table["none", "mb"] == pytest.approx(3 * 2 * start_weights().nbytes / 1e6)
    assert table["none", "ssim"] > 0.99
    assert table["epsilon 1", "ssim"] < table["guessing", "ssim"] + 0.1
    assert table["none", "membership_advantage"] > 0.3 > 0.1 > table["epsilon 1", "membership_advantage"]
    assert table["median", "membership_auc"] == table["none", "membership_auc"]  # a rule hides nothing
    assert ("whole", "ssim") not in table
    assert "| whole | 0.700 | 0.800 |  |" in (folder / "privacy.md").read_text()
    with Image.open(folder / "inversion.webp") as sheet:
        assert sheet.height == 5 * 64  # the images, and twice what two kinds of exposure show


def test_what_a_server_sees_follows_from_the_settings() -> None:
    rows = read_study("privacy", {"data": "images"}).rows
    assert not exposure_of(rows["none, whole network"])
    seen = {name: how for name, own in rows.items() if (how := exposure_of(own))}
    in_sum = {name for name, how in seen.items() if how.in_sum}
    assert in_sum == {"secure", *(name for name in rows if "in the sum" in name)}
    noise = {how.noise for name, how in seen.items() if "epsilon" in name and name not in in_sum}
    assert len(noise) == 4  # the rule with epsilon 8 has that of epsilon 8
    assert seen["epsilon 1, at the clinic"].steps == 16 * 8
    assert seen["epsilon 1, at the clinic"].noise == max(noise)


def test_both_studies_make_one_table(study: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    attacked = {"defence": "median", "figure": "under labels", "mean": 0.5, "half_width": None}
    for name, lines in (("privacy", study[1]), ("hostile", [attacked])):
        (tmp_path / f"{name}.json").write_text(json.dumps({"lines": {name: lines}}))
    query = "privacy/privacy+hostile/hostile by=defence across=figure"
    found = renew(f"<!-- figures {query} --><!-- /figures -->", tmp_path)
    assert found.count("Under labels") == 1
    (median,) = (line for line in found.splitlines() if line.startswith("| median |"))
    assert median.startswith("| median | 0.580 |")
    assert median.endswith("| 0.500 |")
