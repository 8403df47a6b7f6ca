"""A federation of real processes fits a lesion finder to one clinic's masks, and the other has it too."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.node.clinic_data import OfferFolder
from dermafed.client.node.clinic_masks import with_masks
from dermafed.client.node.home import open_home
from dermafed.client.node.offers import Offers
from dermafed.shared.imaging.cache import PreprocessCache
from dermafed.shared.lesion_finder.finder import LesionFinder
from dermafed.shared.lesion_finder.finder_file import finder_file, load_finder
from dermafed.shared.lesion_finder.images import sum_up_images
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.protocol.messages import Refusal
from tests.commands.small_datasets import SIDE, draw_dataset
from tests.journeys.whole_run import WholeRun, whole_run

pytestmark = pytest.mark.slow

MASKED, PLAIN = "north", "south"
PLAN = """
name = "first"
rounds = 1
weights = "none"
threads = 1
lesion_finder = true
[model]
image_size = 32
frozen_blocks = 6
[training]
epochs = 0.25
[rules]
deadline = "1h"
approval = "1h"
wait = "1h"
"""


def draw_masks(folder: Path) -> None:
    """A disc in the middle of every image, which is about where the blotch is."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, (20, 20), 9, 255, cv2.FILLED)
    (folder / "masks").mkdir()
    for path in (folder / "images").glob("*.png"):
        cv2.imwrite(str(folder / "masks" / path.name), mask)


def of_images_in_one_place(run: WholeRun) -> LesionFinder:
    """The finder of the masked clinic's training images, by the model that its node saved."""
    home = open_home(run.home(MASKED))
    model = open_model("last", home)
    (hash,) = Offers(home.offers).load_all()
    split = read_clinic_split(OfferFolder(home.offers / hash, MASKED).split)
    pairs = with_masks(split.splits.train, model.card.preprocess)
    cache = PreprocessCache(run.folder / "clinics" / "cache")
    images = cache.load([record.path for record, _ in pairs], model.card.preprocess).images
    sums = sum_up_images(model.classifier, images, [mask for _, mask in pairs])
    return LesionFinder.of(sums, model.used.sha256)


def test_a_clinic_without_masks_has_the_finder_of_the_other(tmp_path: Path) -> None:
    with whole_run(tmp_path / "run") as run:
        data = {
            name: draw_dataset(run.folder / "clinics" / name / "data", [name], lesions=14)
            for name in (MASKED, PLAIN)
        }
        draw_masks(data[MASKED])
        run.start_all(PLAN, data)
        assert run.finished_run()["status"] == "finished"
        expected = of_images_in_one_place(run)
        for name, kind in (
            (MASKED, "query.lesions"),
            (PLAIN, f"query.lesions error {Refusal.FINDER_FAILED:d}"),
        ):
            model = open_model("last", open_home(run.home(name)))
            finder = load_finder(model.file, model.used.sha256)
            assert finder is not None
            assert (finder.images, finder.clinics) == (expected.images, 1)
            # This process computes float32 maps with other threads.
            np.testing.assert_allclose(finder.kernel, expected.kernel, rtol=1e-3, atol=1e-4)
            queries = [line["kind"] for line in json.loads(run.clinic(name, "audit", "--json"))]
            assert queries.count(kind) == 1
            assert queries.count("query.finder") == 1
        content = json.loads((run.server / "runs" / "0001-first" / "lesion-finder.json").read_text())
        assert content["clinics"] == {MASKED: expected.images}
        assert "TooFewMasks" in content["left_out"][PLAIN]
        exported = run.server_side / "first.keras"
        run.coordinator("export", "first", "last", exported)
        assert finder_file(exported).exists()
