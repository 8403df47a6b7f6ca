"""Scores of how far outside the training images an image lies: the candidates, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.covariance import ledoit_wolf

from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs
from dermafed.shared.metrics.calibration.out_of_distribution import OutOfDistribution

Floats = NDArray[np.float64]
Score = Callable[[NetworkOutputs], Floats]
NEIGHBOUR = 10


def probability(training: NetworkOutputs) -> Score:
    """How improbable the most probable class is (Hendrycks and Gimpel 2017)."""
    return lambda outputs: -softmax(outputs.logits.astype(np.float64), axis=1).max(axis=1)


def energy(training: NetworkOutputs) -> Score:
    """Liu et al. 2020, at temperature 1."""
    return lambda outputs: -np.asarray(logsumexp(outputs.logits.astype(np.float64), axis=1))


def mahalanobis(training: NetworkOutputs) -> Score:
    """Lee et al. 2018: the distance from the nearest class' mean, one covariance for all classes."""
    known = np.unique(training.labels)
    means = np.array([training.features[training.labels == each].mean(axis=0) for each in known])
    whiten = _whitening(training.features - means[np.searchsorted(known, training.labels)])
    return lambda outputs: np.min([_squared(outputs.features - mean, whiten) for mean in means], axis=0)


def relative(training: NetworkOutputs) -> Score:
    """Ren et al. 2021: the same, less the distance from the mean of all classes."""
    nearest, mean = mahalanobis(training), training.features.mean(axis=0)
    whiten = _whitening(training.features - mean)
    return lambda outputs: nearest(outputs) - _squared(outputs.features - mean, whiten)


def neighbour(training: NetworkOutputs) -> Score:
    """Sun et al. 2022: the distance from the tenth nearest training image, features of length 1."""
    training_features = _unit(training.features)
    return lambda outputs: -np.sort(_unit(outputs.features) @ training_features.T, axis=1)[:, -NEIGHBOUR]


def mahalanobis_by_class_of_directions(training: NetworkOutputs) -> Score:
    """Müller and Hein 2025: Lee's, features of length 1."""
    fitted = mahalanobis(_directed(training))
    return lambda outputs: fitted(_directed(outputs))


def product(training: NetworkOutputs) -> Score:
    """What DermaFed uses: the distance from the mean of all classes, features of length 1."""
    detector = OutOfDistribution.fit(training.features, training.features)
    return lambda outputs: detector.scores(outputs.features)


CANDIDATES: dict[str, Callable[[NetworkOutputs], Score]] = {
    "top probability": probability,
    "energy": energy,
    "Mahalanobis": mahalanobis,
    "relative Mahalanobis": relative,
    "10th neighbour": neighbour,
    "Mahalanobis, length 1": mahalanobis_by_class_of_directions,
    "the same, one mean": product,
}


def _unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-30))


def _directed(outputs: NetworkOutputs) -> NetworkOutputs:
    return NetworkOutputs(outputs.logits, _unit(outputs.features), outputs.labels)


def _whitening(centred: NDArray[np.float32]) -> Floats:
    covariance, _ = ledoit_wolf(centred.astype(np.float64), assume_centered=True)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def _squared(away: NDArray[np.float32], whiten: Floats) -> Floats:
    return np.asarray(((away.astype(np.float64) @ whiten.T) ** 2).sum(axis=1))
