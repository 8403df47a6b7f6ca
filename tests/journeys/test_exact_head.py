"""A federation of real processes, whose server is killed, gives the head of all images in one place."""

from __future__ import annotations

from functools import reduce
from operator import add
from pathlib import Path

import keras
import numpy as np
import pytest

from dermafed.client.node.clinic_data import OfferFolder
from dermafed.client.node.home import open_home
from dermafed.client.node.offers import Offers
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.first_weights import START_FILE, read_first_weights
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.model.classifier import build_classifier, set_flat
from dermafed.shared.training.clinic_weight import class_weights
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.exact_head.head_sums import HeadSums, weights_of_common
from dermafed.shared.training.exact_head.ridge import ridge_head
from dermafed.shared.training.predict import apply_in_batches
from dermafed.shared.training.trainer import FloatVector
from tests.commands.small_datasets import draw_dataset
from tests.journeys.whole_run import WholeRun, whole_run

pytestmark = pytest.mark.slow

CLINICS = ("north", "south")
PLAN = """
name = "head"
rounds = 1
strategy = "exact-head"
weights = "lite0"
threads = 1
[model]
image_size = 32
[rules]
quorum = 2
largest_share = 1
deadline = "1h"
approval = "1h"
wait = "1h"
"""

Images = tuple[
    np.ndarray[tuple[int, ...], np.dtype[np.float32]], np.ndarray[tuple[int, ...], np.dtype[np.int64]]
]


def features_at(run: WholeRun, clinic: str, weights: FloatVector) -> Images:
    """The features of a clinic's training images before the last layer, and their classes."""
    home = open_home(run.home(clinic))
    ((hash, stored),) = Offers(home.offers).load_all().items()
    split = read_clinic_split(OfferFolder(home.offers / hash, clinic).split)
    data = load_labelled(split.splits.train, stored.offer.model, stored.offer.preprocess)
    classifier = build_classifier(stored.offer.model)
    set_flat(classifier, weights)
    network = keras.Model(classifier.input, classifier.get_layer("logits").input)
    return apply_in_batches(network, data.images), data.labels


def kill_server_in_mid_run(run: WholeRun) -> None:
    """SIGKILL once a clinic has answered: its sums have left, or are about to."""
    run.wait_until(lambda: list(run.home("north").glob("offers/**/answered.json")), pause=0.05)
    process = run.processes.pop("server")
    process.kill()
    process.wait()
    run.start_server()


def test_the_head_is_that_of_all_images_though_the_server_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "run" / "clinics" / "cache"))
    with whole_run(tmp_path / "run") as run:
        data = {
            name: draw_dataset(run.folder / "clinics" / name / "data", [name], lesions=40) for name in CLINICS
        }
        run.start_all(PLAN, data)
        kill_server_in_mid_run(run)
        last = run.finished_run()
        assert (last["status"], last["rounds_done"]) == ("finished", 1), last
        folder = run.server / "runs" / "0001-head"
        start = read_first_weights(folder / START_FILE).weights
        clinics = [features_at(run, name, start) for name in CLINICS]
    everywhere = sum(np.bincount(labels, minlength=3) for _, labels in clinics)
    of_class = class_weights(np.asarray(everywhere, np.int64)).astype(np.float64)
    sums = reduce(
        add, (HeadSums.of(shown, labels, weights_of_common(labels, of_class)) for shown, labels in clinics)
    )
    head = ridge_head(sums, 0.1)
    found, size = load_state(folder).weights, head.kernel.size + head.bias.size
    assert (found[:-size] == start[:-size]).all()
    kernel = found[-size : -head.bias.size].reshape(head.kernel.shape)
    shown = np.concatenate([features for features, _ in clinics]).astype(np.float64)
    # Features are float32, and the clinics' processes may round them otherwise.
    assert shown @ kernel + found[-head.bias.size :] == pytest.approx(head.scores(shown), abs=1e-4)
