"""Federations of real processes, whose server is killed, give the head of all images in one place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from dermafed.client.node.clinic_data import OfferFolder
from dermafed.client.node.home import open_home
from dermafed.client.node.offers import Offers
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.first_weights import START_FILE, read_first_weights
from dermafed.shared.lesions.clinic_split import read_clinic_split
from dermafed.shared.model.classifier import build_classifier, set_flat
from dermafed.shared.training.clinic_weight import class_weights
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.exact_head.head_sums import Floats, HeadSums, weights_of_common
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


REFIT = PLAN.replace('strategy = "exact-head"', 'refit = "logistic"').replace(
    "image_size = 32", 'image_size = 32\nfeatures = "blocks"'
)


@dataclass(frozen=True)
class Finished:
    """A finished run.

    Attributes:
        start: the first weights, float32 (P,).
        weights: the last ones.
        clinics: each clinic's features and labels, by the last weights.
    """

    start: FloatVector
    weights: FloatVector
    clinics: Sequence[Images]

    @property
    def shown(self) -> Floats:
        """All images' features (N, K)."""
        return np.concatenate([features for features, _ in self.clinics]).astype(np.float64)

    def scores(self, shape: tuple[int, ...]) -> Floats:
        """What the last layer, the kernel of this shape and the bias, makes of them: (N, C)."""
        size = math.prod(shape) + shape[1]
        kernel = self.weights[-size : -shape[1]].reshape(shape)
        return np.asarray(self.shown @ kernel + self.weights[-shape[1] :])


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


def run_through_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: str, rounds: int) -> Finished:
    """A whole run whose server is killed once; its first and last weights, and each clinic's features."""
    monkeypatch.setenv("DERMAFED_CACHE", str(tmp_path / "run" / "clinics" / "cache"))
    with whole_run(tmp_path / "run") as run:
        data = {
            name: draw_dataset(run.folder / "clinics" / name / "data", [name], lesions=40) for name in CLINICS
        }
        run.start_all(plan, data)
        kill_server_in_mid_run(run)
        last = run.finished_run()
        assert (last["status"], last["rounds_done"]) == ("finished", rounds), last
        folder = run.server / "runs" / "0001-head"
        start, state = read_first_weights(folder / START_FILE).weights, load_state(folder)
        clinics = [features_at(run, name, state.weights) for name in CLINICS]
    return Finished(start, state.weights, clinics)


def sums_of(clinics: Sequence[Images]) -> HeadSums:
    """The sums of all clinics' images."""
    everywhere = sum(np.bincount(labels, minlength=3) for _, labels in clinics)
    of_class = class_weights(np.asarray(everywhere, np.int64)).astype(np.float64)
    return reduce(
        add, (HeadSums.of(shown, labels, weights_of_common(labels, of_class)) for shown, labels in clinics)
    )


def test_the_head_is_that_of_all_images_though_the_server_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_through_a_kill(tmp_path, monkeypatch, PLAN, rounds=1)
    head = ridge_head(sums_of(found.clinics), 0.1)
    size = head.kernel.size + head.bias.size
    assert (found.weights[:-size] == found.start[:-size]).all()
    # Features are float32, and the clinics' processes may round them otherwise.
    assert found.scores(head.kernel.shape) == pytest.approx(head.scores(found.shown), abs=1e-4)


def test_after_training_the_last_layer_is_the_logistic_regression_of_all_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_through_a_kill(tmp_path, monkeypatch, REFIT, rounds=2)
    assert (found.start != found.weights).mean() > 0.5, "the round before trained the rest"
    labels = np.concatenate([labels for _, labels in found.clinics])
    varied = found.shown.std(axis=0) > 1e-3  # of maps of one pixel, no deviation does
    shown = StandardScaler().fit_transform(found.shown[:, varied])
    theirs = LogisticRegression(C=1 / (0.1 * len(labels)), class_weight="balanced", tol=1e-8, max_iter=5000)
    theirs.fit(shown, labels)
    ours = softmax(found.scores((found.shown.shape[1], 3)), axis=1)
    # Ours standardises by weighted moments, theirs by plain ones.
    assert ours == pytest.approx(theirs.predict_proba(shown), abs=0.03)
