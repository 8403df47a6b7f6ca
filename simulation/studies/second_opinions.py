"""Two models asked in place of one: their mean as the answer, their disagreement as a doubt.

The federated model with the clinic's own after further training, and two trainings of other seeds. The mean
is that of the logits, as over the views of an image (:mod:`dermafed.shared.model.mirrored_views`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from dermafed.shared.metrics.decision.ranking import ranking_values
from dermafed.shared.model.mirrored_views import mean_prediction
from dermafed.simulation.runs.arms import FEDERATED, TUNED
from dermafed.simulation.runs.results import Predictions
from dermafed.simulation.studies.drawn_tests import DrawnTests
from dermafed.simulation.studies.melanoma_figures import Figure, Figures
from dermafed.simulation.studies.resampled_metrics import ALL
from dermafed.simulation.studies.saved_models import SavedModel

FEDERATED_AND_TUNED, TWO_TRAININGS = "federated and tuned", "two trainings"

BY_PROBABILITY = "wrong answers found by the probability"
BY_DISAGREEMENT = "wrong answers found by disagreement"
DIFFERENCE = "wrong answers found by disagreement, less by the probability"


def second_opinions(
    saved: Mapping[int, Mapping[str, SavedModel]],
) -> Iterator[tuple[int, str, SavedModel, SavedModel]]:
    """The pairs of models of a row that were tested on the same images.

    Args:
        saved: the row's models, by seed and arm.

    Yields:
        The seed, the name of the pair, the federated model of the seed, the other one. Each seed's other
        training is that of the next seed, the last one's that of the first; of two seeds there is one pair.
    """
    seeds = sorted(seed for seed, models in saved.items() if FEDERATED in models)
    for seed in seeds:
        if TUNED in saved[seed]:
            yield seed, FEDERATED_AND_TUNED, saved[seed][FEDERATED], saved[seed][TUNED]
    for place, seed in enumerate(seeds if len(seeds) > 2 else seeds[:-1]):
        other = seeds[(place + 1) % len(seeds)]
        yield seed, TWO_TRAININGS, saved[seed][FEDERATED], saved[other][FEDERATED]


def doubts(tests: DrawnTests, one: NDArray[np.floating], other: NDArray[np.floating]) -> Figures:
    """How well a doubt tells the first model's wrong answers from its right ones: AUC over all images.

    Args:
        tests: the test images.
        one: the first model's probabilities, (N, C).
        other: the second one's, (N, C).

    Returns:
        By the highest probability (low is doubtful), by the models' disagreement (the total variation
        distance of their probabilities), and the difference; nothing where all answers are right, or wrong.
    """
    one, other = one.astype(np.float64), other.astype(np.float64)
    wrong = one.argmax(axis=1) != tests.labels
    if wrong.all() or not wrong.any():
        return {}
    by = {BY_PROBABILITY: -one.max(axis=1), BY_DISAGREEMENT: np.abs(one - other).sum(axis=1) / 2}
    values = {name: ranking_values(scores, wrong, tests.weights)[:, 0] for name, scores in by.items()}
    values[DIFFERENCE] = values[BY_DISAGREEMENT] - values[BY_PROBABILITY]
    fewest = tests.fewest([wrong, ~wrong])
    return {(ALL, name): Figure(own, fewest) for name, own in values.items()}


def mean_model(one: SavedModel, other: SavedModel) -> SavedModel:
    """Both models as one."""
    return SavedModel(
        one.predictions,
        _mean(one.test, other.test),
        _mean(one.validation, other.validation) if one.validation and other.validation else None,
        _mean(one.equal, other.equal) if one.equal and other.equal else None,
    )


def _mean(one: Predictions, other: Predictions) -> Predictions:
    return {folder: mean_prediction([own, other[folder]]) for folder, own in one.items()}
