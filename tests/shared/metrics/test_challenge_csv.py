"""The pair of files for ISIC 2018's scorer: layout and codes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dermafed.shared.metrics.challenge_csv import (
    PREDICTIONS_FILE,
    TRUTH_FILE,
    predictions_csv,
    truth_csv,
    write_challenge_files,
)

# In the order of the model's outputs: that of the alphabet.
SEVEN = (
    *("actinic_keratosis", "basal_cell_carcinoma", "benign_keratosis", "dermatofibroma"),
    *("melanoma", "nevus", "vascular_lesion"),
)


def test_the_seven_classes_have_the_challenges_codes_in_its_order() -> None:
    scores = np.array([[0.01, 0.02, 0.03, 0.04, 0.5, 0.3, 0.1]], np.float32)
    assert predictions_csv(["ISIC_0034524"], scores, SEVEN) == (
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_0034524,0.5,0.3,0.02,0.01,0.03,0.04,0.1\n"
    )
    assert truth_csv(["ISIC_0034524"], np.array([5]), SEVEN) == (
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nISIC_0034524,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
    )


def test_other_spellings_of_the_seven_are_the_same_classes() -> None:
    names = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert truth_csv(["a"], np.array([0]), names).splitlines()[0] == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"


@pytest.mark.parametrize(
    "names",
    [
        ("melanoma", "nevus", "seborrheic_keratosis"),
        (*SEVEN[:6], "squamous_cell_carcinoma"),
        (*SEVEN, "squamous_cell_carcinoma"),
        # Two that a model tells apart, and the challenge does not.
        (*SEVEN[:5], "nevus", "dysplastic nevus"),
    ],
)
def test_other_classes_keep_their_names_and_order(names: tuple[str, ...]) -> None:
    table = truth_csv(["a"], np.array([1]), names)
    assert table.splitlines() == [f"image,{','.join(names)}", "a,0.0,1.0" + ",0.0" * (len(names) - 2)]


@given(
    arrays.arrays(np.float32, (4, 3), elements=st.floats(0, 1, width=32)),
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")), min_size=4, max_size=4),
)
def test_every_probability_is_read_without_loss(scores: np.ndarray, images: list[str]) -> None:
    table = predictions_csv(images, scores, ("a", "b", "c"))
    rows = list(csv.DictReader(io.StringIO(table)))
    order = sorted(range(4), key=lambda place: images[place])
    assert [row["image"] for row in rows] == [images[place] for place in order]
    read = np.array([[row[name] for name in "abc"] for row in rows], np.float64).astype(np.float32)
    np.testing.assert_array_equal(read, scores[order])


def test_both_files_are_written(tmp_path: Path) -> None:
    scores, labels = np.array([[0.25, 0.75]], np.float32), np.array([1])
    write_challenge_files(tmp_path, ["a"], labels, scores, ("x", "y"))
    assert (tmp_path / PREDICTIONS_FILE).read_text("utf-8") == "image,x,y\na,0.25,0.75\n"
    assert (tmp_path / TRUTH_FILE).read_text("utf-8") == "image,x,y\na,0.0,1.0\n"
