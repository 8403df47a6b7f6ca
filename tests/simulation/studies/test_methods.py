"""Table 1's methods on finished runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.method_scores import centre, method_scores
from dermafed.simulation.studies.methods import (
    ITSELF,
    LESS_BLOB,
    METRICS,
    NOT_BUILT,
    TABLE_1,
    analyse,
    measure,
)
from dermafed.simulation.studies.study_runs import StudyRun
from tests.shared.training.tiny import tiny_backbones
from tests.simulation.studies.with_model import finished_run


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield


def test_the_blob_in_the_middle_is_measured_like_a_method(tmp_path: Path) -> None:
    run = StudyRun("plain", RunSettings(), finished_run(tmp_path))
    scores = method_scores(run, ["centre"], 4)["centre"]
    # Half of the blob's height is reached in the middle 18 rows of 32, 7 to 24; the lesion's are 0 to 15.
    assert scores["box_overlap"] == pytest.approx(81 / (18**2 + 16**2 - 81))
    blob = centre(np.zeros((32, 32, 3), np.uint8), 0)
    # The blob is symmetric, and the lesion a quarter of the image.
    assert blob[:16, :16].sum() / blob.sum() == pytest.approx(0.25)
    assert scores["pointing_gain"] == pytest.approx(0, abs=1e-6)
    assert scores["stability_noise"] == pytest.approx(1)


def test_table_1_has_every_entry_with_or_without_a_method(tmp_path: Path) -> None:
    runs = [StudyRun("plain", RunSettings(seed=seed), finished_run(tmp_path, seed)) for seed in (0, 1)]
    for run in runs:
        measure(run)
    lines = analyse(runs, tmp_path)
    assert {line["work"] for line in lines} == {entry.work for entry in TABLE_1}
    for line in lines:
        assert line["method"] == NOT_BUILT or len(line["values"]) == 2, line
    own, gain = (
        {
            line["figure"]: line["mean"]
            for line in lines
            if (line["work"], line["measured"]) == ("this system", measured)
        }
        for measured in (ITSELF, LESS_BLOB)
    )
    assert own.keys() == METRICS.keys()
    blob = {line["figure"]: line["mean"] for line in lines if line["work"] == "control"}
    assert gain == pytest.approx({metric: own[metric] - blob[metric] for metric in METRICS}, abs=1e-9)

    table = (tmp_path / "methods.md").read_text("utf-8")
    assert "| Livieris et al. 2023 | Siamese similarity and Grad-CAM | not built yet |  |" in table
    assert f"| this system | Score-CAM | scorecam | {own['deletion']:.3f} ±" in table
    assert (tmp_path / "methods.csv").read_text("utf-8").startswith("row,work,idea,method,figure,measured,")
    plot = (tmp_path / "methods.svg").read_text("utf-8")
    assert ">centre<" not in plot, "it is the line at 0"
    assert all(f">{text}<" in plot for text in ("scorecam", "Box overlap ↑", "plain, less the blob"))
