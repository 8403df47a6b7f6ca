from __future__ import annotations

import numpy as np
import pytest

from dermafed.shared.errors import DatasetError
from dermafed.shared.metrics.decision.lesion_scores import lesion_scores


def test_a_lesion_has_the_highest_score_of_its_images() -> None:
    lesions = lesion_scores(
        [0, 1, 0, 1], [[0.2, 0.8], [0.4, 0.6], [0.7, 0.3], [0.1, 0.9]], 0, ["a", "b", "a", "c"]
    )
    assert lesions.labels.tolist() == [0, 1, 1]
    assert lesions.is_melanoma.tolist() == [True, False, False]
    assert lesions.scores.tolist() == [[0.7, 0.8], [0.4, 0.6], [0.1, 0.9]]


def test_without_groups_every_image_is_a_lesion() -> None:
    scores = [[0.2, 0.8], [0.4, 0.6]]
    lesions = lesion_scores([0, 1], scores, 0)
    assert lesions.labels.tolist() == [0, 1]
    assert lesions.scores.tolist() == scores


def test_a_lesion_is_a_melanoma_if_any_image_of_it_is_labelled_so() -> None:
    thirds = np.full((5, 3), 1 / 3)
    lesions = lesion_scores([2, 1, 1, 1, 2], thirds, 1, ["a", "a", "b", "c", "c"])
    assert lesions.labels.tolist() == [1, 1, 1]
    assert lesion_scores([2, 0], thirds[:2], 1, ["a", "a"]).labels.tolist() == [2]


def test_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="1 groups for 2 images"):
        lesion_scores([0, 1], [[0.5, 0.5]] * 2, 0, ["a"])
    with pytest.raises(ValueError, match="finite"):
        lesion_scores([0, 1], [[0.5, 0.5], [np.nan, 0.5]], 0)
    with pytest.raises(DatasetError, match="no image"):
        lesion_scores([], np.empty((0, 2)), 0)
