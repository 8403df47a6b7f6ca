"""Membership inference: was this patient among those that a model was trained on?

LiRA (Carlini et al. 2022, arXiv:2112.03570, algorithm 1): the attacker trains shadow models of random halves
of the patients, and compares how likely what the model says of a patient is with and without the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from dermafed.shared.metrics.intervals import weighted_auc
from dermafed.simulation.attacks.exposure import Exposure, Floats, trained_layer

SHADOWS = 16
"""Models, each of which is attacked with the others as its shadows."""

FALSE = 0.01
"""The share of others that the attacker may take for members."""


@dataclass(frozen=True, slots=True)
class Membership:
    """How well members are told from others; 0, 0.5 and 0.01 by guessing.

    Attributes:
        advantage: share of the members, less share of the others, that are more likely members than not.
        auc: of the likelihood ratios.
        found: share of the members above the ratio that one other in a hundred reaches.
    """

    advantage: float
    auc: float
    found: float


def infer_membership(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    clinics: NDArray[np.int64],
    target: int,
    how: Exposure,
    *,
    shadows: int = SHADOWS,
) -> Membership:
    """Attack the patients of one clinic.

    Args:
        features: of one image of each patient, (N, K).
        labels: int64 (N,).
        clinics: the clinic of each, int64 (N,).
        target: the attacked clinic.
        how: what the server sees: in sums, the other clinics have random halves of their patients too.
        shadows: number of models, even, 4 or more.
    """
    random, classes = np.random.default_rng(0), int(labels.max()) + 1
    own, others = np.flatnonzero(clinics == target), np.flatnonzero(clinics != target)
    halves = np.tile(np.arange(shadows) % 2 == 0, (len(own), 1))
    members = random.permuted(halves, axis=1).T
    scores = np.empty(members.shape)
    for shadow, inside in enumerate(members):
        half = others[random.random(len(others)) < 0.5] if how.in_sum else others[:0]
        there = np.concatenate([own[inside], half])
        layer = trained_layer(features[there], labels[there], classes, how, shadow)
        scores[shadow] = log_odds(features[own] @ layer[:-1] + layer[-1], labels[own])
    return compared(likelihood_ratios(scores, members), members)


def log_odds(logits: Floats, labels: NDArray[np.int64]) -> Floats:
    """log p / (1 - p) of each image's own class, whose distribution is nearly normal: (N,)."""
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return np.asarray(logits[rows, labels] - logsumexp(others, axis=1), np.float64)


def likelihood_ratios(scores: Floats, members: NDArray[np.bool_]) -> Floats:
    """Log likelihood ratios of having been a member, by normal distributions of the other models' scores.

    Each patient has means of its own, and all of them have two variances, as for few shadow models.

    Args:
        scores: of each model and patient, (S, N).
        members: whether it was trained on the patient, (S, N); at least twice each for every patient.

    Example:
        Where scores are -1 of others and 1 of members, each give or take 0.1, a score of 0 is the ratio 0.
    """
    inside, outside = (_others_mean(scores, side.astype(np.float64)) for side in (members, ~members))
    off_inside, off_outside = (scores - inside) ** 2, (scores - outside) ** 2
    with_it, without = off_inside[members].mean(), off_outside[~members].mean()
    return np.asarray(
        off_outside / (2 * without) - off_inside / (2 * with_it) + np.log(without / with_it) / 2, np.float64
    )


def _others_mean(scores: Floats, side: Floats) -> Floats:
    """For each model and patient the mean score of the other models of a side."""
    totals, counts = (scores * side).sum(axis=0), side.sum(axis=0)
    return np.asarray((totals - scores * side) / (counts - side), np.float64)


def compared(ratios: Floats, members: NDArray[np.bool_]) -> Membership:
    """How well ratios (S, N) tell members from others."""
    inside, outside = ratios[members], ratios[~members]
    auc = weighted_auc(ratios.ravel(), members.ravel(), np.ones((1, ratios.size)))
    return Membership(
        float((inside > 0).mean() - (outside > 0).mean()),
        float(auc[0]),
        float((inside > np.quantile(outside, 1 - FALSE)).mean()),
    )
