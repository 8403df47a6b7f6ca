"""Scores of how far outside the training images an image lies: the candidates, by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax
from sklearn.covariance import ledoit_wolf

from dermafed.shared.metrics.calibration.network_outputs import Looks
from dermafed.shared.metrics.calibration.out_of_distribution import Outside

Floats = NDArray[np.float64]
Score = Callable[[Looks], Floats]
NEIGHBOUR = 10


def probability(training: Looks) -> Score:
    """How improbable the most probable class is (Hendrycks and Gimpel 2017)."""
    return lambda looks: -softmax(looks.logits.astype(np.float64), axis=1).max(axis=1)


def energy(training: Looks) -> Score:
    """Liu et al. 2020, at temperature 1."""
    return lambda looks: -np.asarray(logsumexp(looks.logits.astype(np.float64), axis=1))


def mahalanobis(training: Looks) -> Score:
    """Lee et al. 2018: the distance from the nearest class' mean, one covariance for all classes."""
    known = np.unique(training.labels)
    means = np.array([training.features[training.labels == each].mean(axis=0) for each in known])
    whiten = _whitening(training.features - means[np.searchsorted(known, training.labels)])
    return lambda looks: np.min([_squared(looks.features - mean, whiten) for mean in means], axis=0)


def relative(training: Looks) -> Score:
    """Ren et al. 2021: the same, less the distance from the mean of all classes."""
    nearest, mean = mahalanobis(training), training.features.mean(axis=0)
    whiten = _whitening(training.features - mean)
    return lambda looks: nearest(looks) - _squared(looks.features - mean, whiten)


def neighbour(training: Looks) -> Score:
    """Sun et al. 2022: the distance from the tenth nearest training image, features of length 1."""
    seen = _unit(training.features)
    return lambda looks: -np.sort(_unit(looks.features) @ seen.T, axis=1)[:, -NEIGHBOUR]


def mahalanobis_by_class_of_directions(training: Looks) -> Score:
    """Müller and Hein 2025: Lee's, features of length 1."""
    fitted = mahalanobis(_directed(training))
    return lambda looks: fitted(_directed(looks))


def product(training: Looks) -> Score:
    """What DermaFed uses: the distance from the mean of all classes, features of length 1."""
    rule = Outside.fit(training.features, training.features)
    return lambda looks: rule.scores(looks.features)


CANDIDATES: dict[str, Callable[[Looks], Score]] = {
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


def _directed(looks: Looks) -> Looks:
    return Looks(looks.logits, _unit(looks.features), looks.labels)


def _whitening(centred: NDArray[np.float32]) -> Floats:
    covariance, _ = ledoit_wolf(centred.astype(np.float64), assume_centered=True)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def _squared(away: NDArray[np.float32], whiten: Floats) -> Floats:
    return np.asarray(((away.astype(np.float64) @ whiten.T) ** 2).sum(axis=1))
