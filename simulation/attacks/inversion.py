"""Gradient inversion: what a batch of one image gives away of the image.

The slope of the loss by a last layer is the outer product of what the layer reads and of the error of the
prediction: whoever sees it divides, and has what the layer read (Phong et al. 2018,
doi:10.1109/TIFS.2017.2787987, section 3). What it reads is made by weights that the server sent. At worst
they pass a picture of the image on, in as many numbers as there are features. Those of an honest network show
less: a regression on pictures that the server has makes of them the lesion's size and colours.

The attacker knows the label, and learns by pictures of his own how the truth follows from what he sees: for
each number a line by least squares. So clipping, other images and noise are undone as far as a line can.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.privacy.secret_random import SecretRandom
from dermafed.shared.training.private_head import PatientImages
from dermafed.simulation.attacks.exposure import Exposure, Floats

SIDE = 16
"""Pixels of the picture's side: 768 numbers, where the last layer reads 800 of EfficientNetV2-B0."""

BATCH = 16
"""Images of every other clinic in the same sum."""


def recover(
    inputs: Floats,
    labels: NDArray[np.int64],
    victims: NDArray[np.int64],
    how: Exposure,
    random: np.random.Generator,
) -> Floats:
    """What the last layer read of images, as the server finds it from a batch of each one alone.

    Args:
        inputs: what it reads of images, float64 (N, K).
        labels: int64 (N,).
        victims: indices of the attacked images; the server has the others.
        how: what it sees: in sums, four other clinics have a batch of :data:`BATCH` images each.
        random: draws other clinics' images.

    Returns:
        float64 (V, K).
    """
    classes = int(labels.max()) + 1
    public = np.setdiff1d(np.arange(len(inputs)), victims)

    def seen(index: int) -> Floats:
        others = random.choice(np.setdiff1d(public, [index]), 4 * BATCH if how.in_sum else 0)
        batch = np.concatenate([[index], others]).astype(np.int64)
        return _seen(inputs[batch], labels[batch], classes, how)

    slopes, offsets = _lines(np.array([seen(one) for one in public]), inputs[public])
    return np.array([seen(one) for one in victims]) * slopes + offsets


def pictures_by_features(features: Floats, known: Floats, pictures: Floats) -> Floats:
    """Pictures from the features of a network that was not made for it, by ridge regression.

    Args:
        features: of the attacked images, float64 (V, K).
        known: of images that the server has, float64 (N, K).
        pictures: those images, float64 (N, S, S, 3).

    Returns:
        float64 (V, S, S, 3).
    """
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-9
    given, asked = (known - mean) / spread, (features - mean) / spread
    flat = pictures.reshape(len(pictures), -1)
    products = given @ given.T + known.shape[1] * np.eye(len(given))
    found = flat.mean(axis=0) + asked @ given.T @ np.linalg.solve(products, flat - flat.mean(axis=0))
    return np.asarray(found.reshape(-1, *pictures.shape[1:]), np.float64)


def _seen(inputs: Floats, labels: NDArray[np.int64], classes: int, how: Exposure) -> Floats:
    """What the gradient shows in the direction of the first image's error, (K,)."""
    truth, layer = np.eye(classes)[labels], np.zeros((inputs.shape[1] + 1, classes))
    patients = [np.array([one]) for one in range(len(labels))]
    images = PatientImages(inputs, truth, np.zeros(classes), patients)
    if how.noise:
        gradient = images.noisy_gradient(
            layer, rate=1.0, clip=how.clip, noise=all_steps_noise(how), random=SecretRandom.fresh()
        )
    else:
        gradient = np.sum([images.gradient(one, layer) for one in range(len(labels))], axis=0)
    error = 1 / classes - truth[0]
    return np.asarray(gradient[:-1] @ error / (error @ error), np.float64)


def all_steps_noise(how: Exposure) -> float:
    """The noise of the mean of all steps of a run, each of which draws the image with the rate."""
    return how.noise / (how.rate * math.sqrt(how.steps))


def _lines(seen: Floats, truth: Floats) -> tuple[Floats, Floats]:
    """Slope and offset of the line from what is seen to the truth, of each number, by least squares."""
    centred = seen - seen.mean(axis=0)
    slopes = (centred * (truth - truth.mean(axis=0))).sum(axis=0) / np.maximum(
        (centred**2).sum(axis=0), 1e-12
    )
    return slopes, truth.mean(axis=0) - slopes * seen.mean(axis=0)
