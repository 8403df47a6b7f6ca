"""Two models in place of one: their mean, which pairs there are, and their disagreement as a doubt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dermafed.simulation.runs.arms import OFFSETS_FILE, OFFSETS_VALIDATION_FILE, PREDICTIONS_FILE
from dermafed.simulation.studies.drawn_tests import DrawnTests
from dermafed.simulation.studies.melanoma import melanoma_lines
from dermafed.simulation.studies.saved_models import SavedModel
from dermafed.simulation.studies.second_opinions import (
    BY_DISAGREEMENT,
    BY_PROBABILITY,
    DIFFERENCE,
    doubts,
    mean_model,
    second_opinions,
)
from dermafed.simulation.studies.study_runs import saved_lesions
from tests.simulation.studies.melanoma_runs import Scores, melanoma_run, two_classes


def model(score: float) -> SavedModel:
    return SavedModel("with offsets", {"east": two_classes([score])}, None, None)


def test_the_mean_is_that_of_the_logits() -> None:
    """Logits 0 and log 9 have the mean log 3."""
    assert mean_model(model(0.5), model(0.9)).test["east"][0, 0] == pytest.approx(0.75)


def test_each_training_has_another_beside_it() -> None:
    saved = {seed: {"federated": model(0.1 * seed)} for seed in (1, 2, 3)}
    pairs = [(seed, name, one, other) for seed, name, one, other in second_opinions(saved)]
    assert [(seed, name) for seed, name, _, _ in pairs] == [(seed, "two trainings") for seed in (1, 2, 3)]
    assert all(other is saved[seed]["federated"] for seed, (*_, other) in zip((2, 3, 1), pairs, strict=True))
    assert len(list(second_opinions({1: saved[1], 2: saved[2]}))) == 1, "the same pair once"
    assert not list(second_opinions({1: saved[1]}))


def test_a_tuned_model_is_a_second_opinion_of_its_own_training() -> None:
    saved = {1: {"federated": model(0.2), "tuned": model(0.4)}}
    ((seed, name, one, other),) = second_opinions(saved)
    assert (seed, name, one, other) == (
        1,
        "federated and tuned",
        saved[1]["federated"],
        saved[1]["tuned"],
    )


def scores_of(folder: Path, test: Scores, other: Scores) -> DrawnTests:
    files = {"federated": {PREDICTIONS_FILE: test}, "tuned": {PREDICTIONS_FILE: other}}
    return DrawnTests.of(saved_lesions(melanoma_run(folder, "a", 0, {"east": "m" * 6 + "n" * 6}, files)), 50)


def test_doubts_are_ranked_as_scikit_learn_does(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    mine, yours = random.uniform(size=(2, 12)).tolist()
    tests = scores_of(tmp_path, [mine], [yours])
    one, other = two_classes(mine).astype(np.float64), two_classes(yours).astype(np.float64)
    found = {name: figure.values[0] for (_, name), figure in doubts(tests, one, other).items()}
    wrong = one.argmax(axis=1) != tests.labels
    assert 0 < wrong.sum() < 12
    assert found[BY_PROBABILITY] == pytest.approx(roc_auc_score(wrong, -one.max(axis=1)))
    assert found[BY_DISAGREEMENT] == pytest.approx(roc_auc_score(wrong, np.abs(one - other)[:, 0]))
    assert found[DIFFERENCE] == pytest.approx(found[BY_DISAGREEMENT] - found[BY_PROBABILITY])


def test_without_a_wrong_answer_there_is_no_doubt_to_rank(tmp_path: Path) -> None:
    right = [0.9] * 6 + [0.1] * 6
    one = two_classes(right).astype(np.float64)
    assert doubts(scores_of(tmp_path, [right], [right]), one, one) == {}


def test_two_trainings_are_compared_with_one(tmp_path: Path) -> None:
    """Each training misses the melanomas that the other is sure of; their mean finds all."""
    tests, validation = {"east": "m" * 10 + "n" * 10}, {"east": "mn"}
    found = [[0.99] * 5 + [0.4] * 5 + [0.1] * 10], [[0.4] * 5 + [0.99] * 5 + [0.1] * 10]
    runs = [
        melanoma_run(
            tmp_path,
            "a",
            seed,
            tests,
            {
                "federated": {
                    PREDICTIONS_FILE: scores,
                    OFFSETS_FILE: scores,
                    OFFSETS_VALIDATION_FILE: [[0.9, 0.1]],
                }
            },
            validation=validation,
        )
        for seed, scores in enumerate(found)
    ]
    lines = melanoma_lines(runs, resamples=50)
    (gain,) = [
        line
        for line in lines
        if (line["arm"], line["tests"], line["figure"])
        == ("two trainings - federated", "all", "sensitivity of melanoma")
    ]
    assert gain["mean"] == pytest.approx(0.5)
