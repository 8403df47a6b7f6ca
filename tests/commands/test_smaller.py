"""``fl-simulate --only`` and ``--train-images``: smaller federations of the same split."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.shared.imaging.preprocess_settings import PreprocessSettings
from dermafed.simulation import cli
from dermafed.simulation.runs.prepare import prepare
from dermafed.simulation.runs.run_settings import RunSettings
from tests.commands.small_datasets import command, draw_dataset

SMALL = PreprocessSettings(image_size=32, denoise="none", clahe_grid=4)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return draw_dataset(tmp_path / "data", clinics=("north", "south"), lesions=10)


def test_a_smaller_federation_has_the_same_tests(data: Path) -> None:
    whole, few, alone = (
        {
            clinic.name: clinic.splits
            for clinic in prepare(data, RunSettings(split_seed=3, **smaller), SMALL).clinics
        }
        for smaller in ({}, {"train_images": "north:6"}, {"train_images": "north:6", "only": "north"})
    )
    assert [(name, len(splits.train)) for name, splits in whole.items()] == [("north", 21), ("south", 21)]
    assert [(name, len(splits.train)) for name, splits in few.items()] == [("north", 6), ("south", 21)]
    assert alone == {"north": few["north"]}
    assert (few["north"].test, few["south"]) == (whole["north"].test, whole["south"])
    assert few["north"].validation == whole["north"].validation


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train-images", "none"], "not a number of images"),
        (["--train-images", "east:5"], "The clinics are north, south"),
        (["--only", "north,east"], "no clinic 'east'"),
    ],
)
def test_impossible_subsets_are_refused_before_any_work(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    small = ["--image-size", 32, "--denoise", "none", "--weights", "none", "--out", tmp_path / "out"]
    ended = command(cli.main, capsys, "--data", data, *small, *arguments)
    assert ended.code == 2
    assert message in " ".join(ended.err.split())
    assert not (tmp_path / "out").exists()
