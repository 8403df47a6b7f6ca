"""The search: against scikit-learn, and which images it leaves out."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler, normalize

from dermafed.client.clinic.similar.case_index import CaseIndex
from dermafed.client.clinic.similar.case_space import CaseSpace
from dermafed.client.clinic.similar.nearest import NearestCases
from dermafed.shared.training.exact_head.head_sums import HeadSums
from tests.client.clinic.similar.cases import CLASSES, MODEL, case, index


def test_the_nearest_are_those_of_scikit_learn_in_a_space_that_it_builds_itself() -> None:
    cases = index()
    features = cases.features.astype(np.float64)
    labels = np.arange(60) % 3
    # The same space by other means: variances within classes of 1, then half of the covariance shrunk away.
    within = np.sqrt(sum(features[labels == each].var(axis=0) for each in range(3)) / 3)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5).fit(features / within, labels)
    inverse = np.linalg.inv(lda.covariance_)
    means = lda.means_ - lda.means_.mean(axis=0)
    values, vectors = np.linalg.eigh(means @ inverse @ means.T)
    kind = (
        (features - features.mean(axis=0)) / within @ inverse @ means.T @ vectors[:, 1:] / np.sqrt(values[1:])
    )
    kind /= np.sqrt((kind**2).sum(axis=1).mean())
    points = np.c_[normalize(StandardScaler().fit_transform(features)), kind]
    distances, nearest = NearestNeighbors(n_neighbors=6, algorithm="brute").fit(points).kneighbors(points)
    search = NearestCases(cases, CLASSES)
    for number in range(60):
        found = search.find(cases.features[number], without=[f"image_{number}"])
        assert [each.case for each in found] == [cases.cases[at] for at in nearest[number][1:]]
        assert [each.distance for each in found] == pytest.approx(distances[number][1:], abs=2e-3)


def test_the_lesion_of_the_image_is_left_out_by_id_lesion_or_digest() -> None:
    cases = index(lesion_of=2)
    search = NearestCases(cases, CLASSES)
    for same in (cases.cases[7].id, cases.cases[7].sha256, cases.cases[7].lesion):
        found = search.find(cases.features[7], without=[same], count=60)
        assert "lesion_3" not in {each.case.lesion for each in found}
        assert len(found) == 29


def test_each_lesion_is_shown_once_by_its_nearest_image() -> None:
    cases = index(lesion_of=3)
    search = NearestCases(cases, CLASSES)
    found = search.find(cases.features[4], count=60)
    assert sorted({each.case.lesion for each in found}) == sorted(each.case.lesion for each in found)
    assert len(found) == 20
    assert found[0].case == cases.cases[4]
    assert found[0].distance == pytest.approx(0, abs=1e-3)
    assert [each.distance for each in found] == sorted(each.distance for each in found)


def test_there_may_be_fewer_cases_than_asked_for() -> None:
    one = CaseIndex(MODEL, (case(0),), np.ones((1, 8), np.float32))
    search = NearestCases(one, CLASSES)
    assert [each.case.id for each in search.find(np.zeros(8, np.float32))] == ["image_0"]
    assert search.find(np.zeros(8, np.float32), without=["image_0"]) == []


def test_two_axes_by_hand() -> None:
    # One class, so that there is no discriminant: what counts is the angle from the mean (0, 0).
    cross = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    search = NearestCases(CaseIndex(MODEL, tuple(map(case, range(4))), cross), CLASSES)
    found = search.find(np.array([30, 1], np.float32), count=4)
    assert [each.case.id for each in found] == ["image_0", "image_1", "image_3", "image_2"]


def test_half_of_the_mean_square_length_is_each_half_of_the_space() -> None:
    cases = index(features=20)
    sums = HeadSums.of(cases.features, np.arange(60) % 3, np.ones(3))
    points = CaseSpace.fit(sums).points(cases.features)
    assert points.shape == (60, 22)
    assert np.allclose((points[:, :20] ** 2).sum(axis=1), 1, atol=1e-5)
    assert (points[:, 20:] ** 2).sum(axis=1).mean() == pytest.approx(1, abs=1e-5)


def test_the_space_of_clinics_sums_is_that_of_all_their_cases() -> None:
    cases = index()
    labels = np.arange(60) % 3
    halves = [
        HeadSums.of(cases.features[part], labels[part], np.ones(3)) for part in (slice(25), slice(25, 60))
    ]
    together = CaseSpace.fit(halves[0] + halves[1]).points(cases.features)
    pooled = CaseSpace.fit(HeadSums.of(cases.features, labels, np.ones(3))).points(cases.features)
    assert np.allclose(np.abs(together), np.abs(pooled), atol=1e-5)
