"""Small clinics for the server's tests: softmax regression on given arrays, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from numpy.typing import NDArray

from dermafed.client.node.client_app import build_client_app
from dermafed.server.rounds.after_run import AfterRun
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.server_defences import ServerDefences
from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.protocol.agreement import OFFER, PREPARE, Answer, Decision, encode_answer, encode_ready
from dermafed.shared.training.trainer import FloatVector, Trainer, Update

FEATURES, CLASSES = 5, 3
PARAMETERS = (FEATURES + 1) * CLASSES
NAMES = ("vienna", "graz", "linz")
SIZES = (7, 23, 60)
RATE = 0.5


def lesions(clinic: int, images: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A clinic's features (N, FEATURES) and labels (N,)."""
    random = np.random.default_rng(clinic)
    labels = np.arange(images) % CLASSES
    features = random.normal(size=(images, FEATURES)) + clinic / 2
    features[np.arange(images), labels] += 2
    return features, labels


def probabilities(weights: NDArray[np.float64], features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax regression with a bias."""
    matrix = weights.reshape(FEATURES + 1, CLASSES)
    logits = features @ matrix[:-1] + matrix[-1]
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def sgd_step(
    weights: FloatVector, features: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    """One full-batch step on the mean cross-entropy."""
    start = weights.astype(np.float64)
    wrong = probabilities(start, features) - np.eye(CLASSES)[labels]
    with_bias = np.hstack([features, np.ones((len(features), 1))])
    gradient: NDArray[np.float64] = (with_bias.T @ wrong / len(features)).ravel()
    return start - RATE * gradient


@dataclass
class Regression:
    """A trainer that takes one full-batch step a round."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]

    def train(self, weights: FloatVector, round: int, config: Mapping[str, float]) -> Update:
        scores = probabilities(weights.astype(np.float64), self.features)
        loss = -np.log(scores[np.arange(len(self.labels)), self.labels]).mean()
        moved = sgd_step(weights, self.features, self.labels).astype(np.float32)
        return Update(moved, len(self.labels), {"loss": float(loss)})

    def evaluate(self, weights: FloatVector, round: int) -> ClinicEvaluation:
        return ClinicEvaluation.from_predictions(
            self.labels, probabilities(weights.astype(np.float64), self.features)
        )


def trainer_for(context: Context) -> Trainer:
    """The trainer of a context's clinic."""
    clinic = int(context.node_config["partition-id"])
    return Regression(*lesions(clinic, SIZES[clinic]))


def joining_app(trainer: Callable[[Context], Trainer] = trainer_for) -> ClientApp:
    """The clinics' app, which joins every run that it is offered."""
    app = build_client_app(trainer)

    @app.query(OFFER)
    def offer(message: Message, context: Context) -> Message:
        clinic = int(context.node_config["partition-id"])
        counts = np.bincount(lesions(clinic, SIZES[clinic])[1], minlength=CLASSES).astype(np.int64)
        versions = {name: version(name) for name in ("dermafed", "flwr", "keras")}
        return Message(
            encode_answer(Answer(Decision.APPROVED, versions=versions, class_counts=counts)), reply_to=message
        )

    @app.query(PREPARE)
    def prepare(message: Message, context: Context) -> Message:
        return Message(encode_ready(0.0), reply_to=message)

    return app


def start_weights() -> FloatVector:
    return np.random.default_rng(9).normal(scale=0.1, size=PARAMETERS).astype(np.float32)


def server(folder: Path, rounds: int = 3, clinics: int = len(SIZES), **options: Any) -> ServerApp:
    """A server app for these clinics.

    Options are those of RoundRules and of build_server_app, and the fields of AfterRun and ServerDefences;
    and ``start``, other weights to start from.
    """
    rule_names = {"quorum", "deadline", "attempts", "connect_seconds", "most_images", "patience"}
    rule_names |= {"largest_share", "largest_step"}
    rules = {name: options.pop(name) for name in rule_names if name in options}
    after, defences = (
        {one.name: options.pop(one.name) for one in fields(kind) if one.name in options}
        for kind in (AfterRun, ServerDefences)
    )
    return build_server_app(
        options.pop("start", start_weights()),
        CLASSES,
        RoundRules(rounds, clinics, **rules),
        folder,
        after=AfterRun(**after),
        defences=ServerDefences(**defences),
        **options,
    )


def pooled(sizes: Sequence[int] = SIZES) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All clinics' features and labels."""
    parts = [lesions(clinic, images) for clinic, images in enumerate(sizes)]
    return np.vstack([part[0] for part in parts]), np.hstack([part[1] for part in parts])
