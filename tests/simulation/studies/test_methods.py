"""Table 1's methods on finished runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dermafed.simulation.runs.run_settings import RunSettings
from dermafed.simulation.studies.method_scores import method_scores
from dermafed.simulation.studies.methods import (
    ANOTHER,
    COMPARED,
    DEPENDENCE,
    ITSELF,
    LESS_BLOB,
    METRICS,
    NO_MAP,
    PLOTTED,
    TABLE_1,
    WHERE,
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


def test_the_controls_know_the_masks_of_training_images_and_nothing_of_the_image(tmp_path: Path) -> None:
    """Training lesions are in the middle, 16 of 32 pixels wide; those of the test in a corner."""
    run = StudyRun("plain", RunSettings(), finished_run(tmp_path))
    found = method_scores(run, [], 4)
    assert set(found) == {"blob", "mean mask"}
    blob, mean_mask = found["blob"], found["mean mask"]
    # The mean mask is the training lesion: a quarter of it is in the test's corner, and it is all one value.
    assert mean_mask["pointing"] == pytest.approx(1 / 4)
    assert mean_mask["pixel_precision"] == pytest.approx(0.25 * 0.25 + 0.75 * 0.25)
    assert mean_mask["box_overlap"] == pytest.approx(64 / (2 * 256 - 64))
    # The blob is symmetric, and the lesion a quarter of the image.
    assert (blob["pointing"], blob["pointing_chance"]) == pytest.approx((0.25, 0.25))
    # Its width is that whose box is most like the training lesion's: its half height is 16 rows wide.
    assert blob["box_overlap"] == pytest.approx(mean_mask["box_overlap"], abs=0.04)
    for control in (blob, mean_mask):
        assert [control[name] for name in DEPENDENCE] == pytest.approx([1, 1, 1, 1, 1])
        assert control["stability_noise"] == pytest.approx(1)


def test_data_without_masks_have_the_blob_alone(tmp_path: Path) -> None:
    folder = finished_run(tmp_path, masks=False)
    found = method_scores(StudyRun("plain", RunSettings(), folder), ["gradcam"], 4)
    assert set(found) == {"gradcam", "blob"}
    assert not set(WHERE) & set(found["gradcam"])
    assert {"deletion", "class_correlation", "randomised"} <= set(found["gradcam"])


def test_table_1_has_every_entry_with_or_without_a_method(tmp_path: Path) -> None:
    runs = [StudyRun("plain", RunSettings(seed=seed), finished_run(tmp_path, seed)) for seed in (0, 1)]
    for run in runs:
        measure(run)
    lines = analyse(runs, tmp_path)
    assert {line["work"] for line in lines} == {entry.work for entry in TABLE_1}
    for line in lines:
        assert (line["method"] == NO_MAP) == (line["figure"] is None) == (line["values"] == [])
        assert line["figure"] is None or np.isfinite(line["values"]).all()
    own, gain, other = (
        {
            line["figure"]: line["mean"]
            for line in lines
            if (line["work"], line["measured"]) == ("this system", measured)
        }
        for measured in (ITSELF, LESS_BLOB, ANOTHER)
    )
    always = set(METRICS) - {name for name in METRICS if name.startswith("lesion_deletion")}
    assert always <= set(own), "a deletion has no ratio where random cells move nothing"
    assert set(other) == {*WHERE, "pointing_chance"}
    blob = {
        line["figure"]: line["mean"]
        for line in lines
        if (line["work"], line["method"]) == ("control", "blob")
    }
    both = [metric for metric in COMPARED if metric in own and metric in blob]
    assert {*WHERE, "deletion"} <= set(both)
    assert gain == pytest.approx({metric: own[metric] - blob[metric] for metric in both}, abs=1e-9)

    table = (tmp_path / "methods.md").read_text("utf-8")
    first = table.splitlines()[2]
    assert first.startswith("| Work | Idea | Here | Pixel precision ↑ | Off-centre precision ↑ |")
    assert "| Livieris et al. 2023 | Siamese similarity and Grad-CAM | no map here |  |" in table
    assert (
        f"| this system | Score-CAM, additive evidence | scorecam | {own['pixel_precision']:.3f} ±" in table
    )
    assert "| control | maps that do not look at the image | mean mask |" in table
    for measured in (ITSELF, LESS_BLOB, ANOTHER):
        assert f"## plain, {measured}\n" in table
    assert (tmp_path / "methods.csv").read_text("utf-8").startswith("row,work,idea,method,figure,measured,")
    plot = (tmp_path / "methods.svg").read_text("utf-8")
    assert ">blob<" not in plot, "it is the line at 0"
    assert all(f">{text}<" in plot for text in ("scorecam", METRICS[PLOTTED[0]], "plain, less the blob"))
