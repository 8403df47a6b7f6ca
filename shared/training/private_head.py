"""One private step of a last layer on fixed features, in closed form.

With features x of an image and a 1 behind them, and e its predicted less its true probabilities, the slope of
its cross-entropy by the layer is the outer product x e^T. A patient's gradient is the mean over its images;
its squared norm is sum_ij (e_i . e_j)(x_i . x_j) / n^2. (DP-SGD: Abadi et al. 2016, arXiv:1607.00133,
algorithm 1; with Poisson samples: Mironov, Talwar and Zhang 2019, arXiv:1908.10530.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from dermafed.shared.metrics.evaluation import ClinicEvaluation
from dermafed.shared.privacy.noisy_sum import GRID, noisy_sum, on_grid
from dermafed.shared.privacy.secret_random import SecretRandom

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PatientImages:
    """A clinic's training images as the last layer sees them.

    Attributes:
        features: (N, K).
        truth: probabilities of the classes that the loss is by, times the image's weight: float64 (N, C).
        prior: added to the logits in the loss, (C,).
        patients: indices of each patient's images.
    """

    features: NDArray[np.floating]
    truth: Floats
    prior: Floats
    patients: Sequence[NDArray[np.int64]]

    def gradient(self, patient: int, layer: Floats) -> Floats:
        """The mean slope of a patient's images, float64 (K + 1, C).

        Args:
            patient: its number.
            layer: kernel, and bias in the last row, (K + 1, C).
        """
        images = self.patients[patient]
        with np.errstate(all="ignore"):  # what is not finite counts as nothing
            inputs = np.c_[self.features[images].astype(np.float64), np.ones(len(images))]
            truth = self.truth[images]
            guess = softmax(inputs @ layer + self.prior, axis=1) * truth.sum(axis=1, keepdims=True)
            return np.asarray(inputs.T @ (guess - truth) / len(images), np.float64)

    def noisy_gradient(
        self, layer: Floats, *, rate: float, clip: float, noise: float, random: SecretRandom
    ) -> Floats:
        """The sum of a Poisson sample's clipped gradients with noise, float64 (K + 1, C).

        Args:
            layer: as above.
            rate: probability with which each patient is drawn.
            clip: largest norm of a patient's gradient.
            noise: standard deviation of the noise, in multiples of it.
            random: the source of sample and noise.
        """
        steps = self.sampled(layer, rate=rate, clip=clip, random=random)
        return noisy_sum(steps, layer.size, bound=clip, noise=noise, random=random).reshape(layer.shape)

    def sampled(
        self, layer: Floats, *, rate: float, clip: float, random: SecretRandom, grid: int = GRID
    ) -> Iterator[NDArray[np.int64]]:
        """The clipped gradients of a Poisson sample, in whole steps of clip / grid, ((K + 1) * C,) each."""
        for patient in np.flatnonzero(random.chosen(rate, len(self.patients))):
            yield on_grid(self.gradient(int(patient), layer), clip, grid)


def noisy_evaluation(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    patients: Sequence[NDArray[np.int64]],
    classes: int,
    *,
    noise: float,
    random: SecretRandom,
) -> ClinicEvaluation:
    """Patients by true and predicted class with noise, without loss and histograms.

    A patient's images share its 1.

    Args:
        truth: true classes (N,).
        predicted: predicted classes (N,).
        patients: indices of each patient's images.
        classes: C.
        noise: standard deviation of the noise, in patients.
        random: the source of the noise.
    """
    steps = cells_of_patients(truth, predicted, patients, classes)
    noisy = noisy_sum(steps, classes**2, bound=1.0, noise=noise, random=random)
    return ClinicEvaluation.with_noise(noisy.reshape(classes, classes))


def cells_of_patients(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    patients: Sequence[NDArray[np.int64]],
    classes: int,
    grid: int = GRID,
) -> Iterator[NDArray[np.int64]]:
    """Each patient's 1 in a confusion matrix, shared by its images, in steps of 1 / grid: int64 (C * C,)."""
    cells = truth * classes + predicted
    for images in patients:
        yield on_grid(np.bincount(cells[images], minlength=classes**2) / len(images), 1.0, grid)
