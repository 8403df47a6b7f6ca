"""The last layer's columns where clinics lack classes: against NumPy's mean over those that have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context
from hypothesis import given, settings
from hypothesis import strategies as st

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.checkpoint import load_state
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.screening import Screen
from dermafed.server.rounds.shares import Member, members_of
from dermafed.server.rounds.trained_models import TrainedModels
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.messages import encode_update
from dermafed.shared.training.trainer import FloatVector, Update
from dermafed.simulation.engines.local import run_local
from tests.server.small_clinics import CLASSES, FEATURES, NAMES, Regression, lesions, probabilities, server

BEFORE = 7  # weights before the last layer
PARAMETERS = BEFORE + (FEATURES + 1) * CLASSES
START = np.random.default_rng(3).normal(size=PARAMETERS).astype(np.float32)


@dataclass(frozen=True)
class Round:
    """The clinics' class counts by name, and the models of those that replied."""

    counts: Mapping[str, tuple[int, ...]]
    models: Mapping[str, FloatVector]

    def mean(self, folder: Path, *, masked: bool, largest_share: float = 1.0) -> FloatVector:
        rules = RoundRules(1, len(self.counts), largest_share=largest_share)
        held = HeldClasses.of(self.counts, FEATURES) if masked else None
        screen = Screen(np.zeros(PARAMETERS, np.uint8))
        members = members_of(self.counts, "none")
        with TrainedModels(START, rules, screen, members, folder, held) as models:
            for name, model in self.models.items():
                update = Update(model, members[name].weight, {"loss": 1.0})
                models.accept(name, encode_update(update, 0.0))
            models.compare()
            return models.result().mean


def column(model: FloatVector, place: int) -> FloatVector:
    """Kernel column and bias of a class: the kernel (K, C) comes row by row, and the bias behind it."""
    kernel, bias = model[BEFORE:-CLASSES].reshape(FEATURES, CLASSES), model[-CLASSES:]
    return np.append(kernel[:, place], bias[place])


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    names = [f"clinic {number}" for number in range(draw(st.integers(1, 5)))]
    some = st.tuples(*[st.sampled_from([0, 0, 1, 7, 300])] * CLASSES).filter(any)
    counts = {name: draw(some) for name in names}
    replied = draw(st.sets(st.sampled_from(names), min_size=1))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return Round(
        counts, {name: START + rng.normal(size=PARAMETERS).astype(np.float32) for name in sorted(replied)}
    )


@settings(deadline=None, max_examples=60)
@given(rounds())
def test_a_column_is_the_mean_over_those_that_have_the_class(
    tmp_path_factory: pytest.TempPathFactory, drawn: Round
) -> None:
    folder = tmp_path_factory.mktemp("round")
    mean, plain = (drawn.mean(folder, masked=masked) for masked in (True, False))
    np.testing.assert_array_equal(mean[:BEFORE], plain[:BEFORE])
    everywhere = np.sum(list(drawn.counts.values()), axis=0)
    for place in range(CLASSES):
        having = [name for name in drawn.models if drawn.counts[name][place] or not everywhere[place]]
        if len(having) == len(drawn.models):
            np.testing.assert_array_equal(column(mean, place), column(plain, place))
        elif not having:
            np.testing.assert_array_equal(column(mean, place), column(START, place))
        else:
            columns = [column(drawn.models[name], place).astype(np.float64) for name in having]
            weights = [sum(drawn.counts[name]) for name in having]
            expected = np.average(columns, axis=0, weights=weights)
            np.testing.assert_allclose(column(mean, place), expected, rtol=1e-12, atol=1e-12)


def test_the_cap_holds_among_those_that_have_the_class(tmp_path: Path) -> None:
    """Of weights 100, 10 and 10 for class 0, half is 20, 10 and 10; of 100 and 10 for class 1, equal ones."""
    counts = {"a": (50, 50, 0), "b": (5, 5, 0), "c": (5, 0, 5)}
    models = {name: START + np.float32(step) for name, step in (("a", 0), ("b", 4), ("c", 8))}
    mean = Round(counts, models).mean(tmp_path, masked=True, largest_share=0.5) - START
    np.testing.assert_allclose(mean[:BEFORE], 3, rtol=1e-5)
    assert column(mean, 0) == pytest.approx(3, rel=1e-5)
    assert column(mean, 1) == pytest.approx(2, rel=1e-5)
    assert column(mean, 2) == pytest.approx(8, rel=1e-5)


COUNTS = {"vienna": (3, 4, 0), "graz": (20, 3, 0), "linz": (20, 20, 20)}


def lesions_of(name: str) -> tuple[np.ndarray, np.ndarray]:
    features, labels = lesions(NAMES.index(name), 60)
    chosen = [i for place, n in enumerate(COUNTS[name]) for i in np.flatnonzero(labels == place)[:n]]
    return features[chosen], labels[chosen]


def clinic(context: Context) -> Regression:
    return Regression(*lesions_of(NAMES[int(context.node_config["partition-id"])]))


def test_a_run_that_is_resumed_goes_the_same_way(tmp_path: Path) -> None:
    held = HeldClasses.of(COUNTS, FEATURES)
    members = {name: Member(sum(own), sum(own)) for name, own in COUNTS.items()}

    def run(folder: str, until: int) -> None:
        options = {"held": held, "members": members, "resume": True}
        run_local(server(tmp_path / folder, rounds=until, **options), build_client_app(clinic), list(NAMES))

    run("once", 3)
    for until in (1, 3):
        run("twice", until)
    state = load_state(tmp_path / "twice")
    np.testing.assert_array_equal(state.weights, load_state(tmp_path / "once").weights)
    before = load_state(tmp_path / "twice", 2).weights
    alone = Regression(*lesions_of("linz")).train(before, 3, {}).weights
    last = [model.reshape(FEATURES + 1, CLASSES)[:, 2] for model in (state.weights, alone)]
    np.testing.assert_array_equal(last[0], last[1])


def test_without_a_place_of_the_last_layer_there_are_no_columns() -> None:
    with pytest.raises(FederationError, match=r"do not say where the last layer is.*start\.npz"):
        HeldClasses.of(COUNTS, 0)


@dataclass
class Steps(Regression):
    """Ten steps a round, in which absent classes take no part."""

    absent: np.ndarray

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        matrix = weights.astype(np.float64).reshape(FEATURES + 1, CLASSES)
        inputs = np.hstack([self.features, np.ones((len(self.features), 1))])
        for _ in range(10):
            scores = np.exp(inputs @ matrix) * ~self.absent
            wrong = scores / scores.sum(axis=1, keepdims=True) - np.eye(CLASSES)[self.labels]
            matrix = matrix - 0.2 * inputs.T @ wrong / len(inputs)
        return Update(matrix.ravel().astype(np.float32), len(inputs), {"loss": 0.0})


@pytest.mark.parametrize("seed", range(5))
def test_a_federation_learns_a_class_that_most_clinics_lack(tmp_path: Path, seed: int) -> None:
    """Two clinics of three lack it; the control, without the mask, finds less than half as many."""
    random = np.random.default_rng(seed)
    counts = {"vienna": (20, 20, 20), "graz": (100, 100, 0), "linz": (100, 100, 0)}
    means = 1.5 * np.eye(CLASSES, FEATURES)

    def drawn(own: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        labels = np.repeat(np.arange(CLASSES), own)
        return means[labels] + random.normal(size=(len(labels), FEATURES)), labels

    images, (features, labels) = {name: drawn(own) for name, own in counts.items()}, drawn((200, 200, 200))
    found = {}
    for mask in (True, False):
        trainers = [
            Steps(*images[name], absent=np.array(own) == 0 if mask else np.zeros(CLASSES, bool))
            for name, own in counts.items()
        ]
        held = HeldClasses.of(counts, FEATURES) if mask else None
        client = build_client_app(lambda context, own=trainers: own[int(context.node_config["partition-id"])])
        run_local(server(tmp_path / str(mask), rounds=15, held=held), client, list(NAMES))
        weights = load_state(tmp_path / str(mask)).weights
        right = probabilities(weights.astype(np.float64), features).argmax(axis=1) == labels
        found[mask] = [float(right[labels == place].mean()) for place in range(CLASSES)]
    assert min(found[True]) > 0.5
    assert found[False][2] < found[True][2] / 2
