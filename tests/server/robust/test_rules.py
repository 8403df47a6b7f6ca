"""The rules against independent computations in NumPy and SciPy, over blocks and over whole vectors."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from dermafed.server.robust import steps as steps_module
from dermafed.server.robust.rules import Combined, combine
from dermafed.server.robust.selection import centred_clipping, geometric_median, krum
from dermafed.server.robust.sketch import CHUNK, Sketches
from dermafed.server.robust.steps import Steps
from dermafed.shared.protocol.robust_settings import Rule, least_clinics

RULES: tuple[Rule, ...] = (
    "norm-bound",
    "median",
    "trimmed-mean",
    "geometric-median",
    "krum",
    "centred-clipping",
)


def combined(rule: Rule, models: np.ndarray, hostile: int = 1, start: np.ndarray | None = None) -> Combined:
    """The rule over models (n, P), of one part, which come in blocks."""
    clinics, parameters = models.shape
    start = np.zeros(parameters, np.float32) if start is None else start

    def read(values: int) -> Iterator[tuple[int, np.ndarray]]:
        for place in range(0, parameters, values):
            yield place, models[:, place : place + values].astype(np.float32)

    norms = np.linalg.norm(models - start, axis=1)[:, None]
    factors = np.minimum(1, np.sort(norms, axis=0)[(clinics - 1) // 2] / np.maximum(norms, 1e-12))
    used = factors if rule == "norm-bound" else np.ones_like(norms)
    parts = np.zeros(parameters, np.uint8)
    return combine(rule, hostile, Steps(start, read, parts, used, norms), b"seed")


def krum_by_definition(models: np.ndarray, hostile: int) -> np.ndarray:
    """Blanchard et al. 2017: the sum over the n - f - 2 nearest others, and the mean of so many best."""
    near = len(models) - hostile - 2
    scores = [
        sum(sorted(float(((a - b) ** 2).sum()) for j, b in enumerate(models) if j != i)[:near])
        for i, a in enumerate(models)
    ]
    return models[sorted(range(len(models)), key=scores.__getitem__)[:near]].mean(axis=0)


def test_each_rule_gives_what_its_definition_gives() -> None:
    models = np.random.default_rng(3).normal(size=(7, 40)).astype(np.float32).astype(np.float64)
    models[6] *= 30
    ordered = np.sort(models, axis=0)
    np.testing.assert_allclose(combined("median", models).step, ordered[3])
    np.testing.assert_allclose(combined("trimmed-mean", models, 2).step, ordered[2:5].mean(axis=0))
    np.testing.assert_allclose(combined("krum", models, 2).step, krum_by_definition(models, 2), rtol=1e-6)
    norms = np.linalg.norm(models, axis=1)
    bounded = models * np.minimum(1, np.median(norms) / norms)[:, None]
    np.testing.assert_allclose(combined("norm-bound", models).step, bounded.mean(axis=0), rtol=1e-6)
    found = minimize(lambda v: np.linalg.norm(models - v, axis=1).sum(), models[:6].mean(axis=0), tol=1e-10)
    np.testing.assert_allclose(combined("geometric-median", models).step, found.x, atol=1e-4)
    centre = np.zeros(40)
    for _ in range(5):
        away = models - centre
        lengths = np.linalg.norm(away, axis=1)
        centre = centre + (away * np.minimum(1, np.median(lengths) / lengths)[:, None]).mean(axis=0)
    np.testing.assert_allclose(combined("centred-clipping", models).step, centre, rtol=1e-6)


def test_krum_is_not_deceived_by_large_weights_that_are_alike() -> None:
    """Flower's distances, |x|^2 + |y|^2 - 2 xy in float32, are negative or zero here."""
    near = 1e4 + np.random.default_rng(0).normal(scale=1e-3, size=(5, 50)).astype(np.float32)
    models = np.vstack([near, near[:1] + 0.01]).astype(np.float32)
    products = (models**2).sum(axis=1)[:, None] + (models**2).sum(axis=1) - 2 * models @ models.T
    assert products.min() < 0
    assert krum(models.astype(np.float64), 1)[5] == 0


VALUES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=6, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(RULES), st.lists(VALUES, min_size=2, max_size=2), st.permutations(range(7)))
def test_two_of_seven_move_no_rule_far(rule: Rule, hostile: list[list[float]], order: list[int]) -> None:
    honest = np.eye(6)[:5] + 1 + np.arange(5)[:, None] / 50
    models = np.vstack([honest, hostile])[order]
    step = combined(rule, models, 2).step
    # Steps of length 3; 5 clippings by two of seven clinics of at most twice the honest spread.
    assert np.linalg.norm(step - honest.mean(axis=0)) < 6
    if rule != "krum":  # of equal scores the first is chosen
        np.testing.assert_allclose(step, combined(rule, models[::-1], 2).step, atol=1e-6)
    if rule in ("median", "trimmed-mean"):
        assert ((honest.min(axis=0) <= step) & (step <= honest.max(axis=0))).all()


def test_the_plain_mean_is_moved_by_one_of_seven() -> None:
    """The control of the test above."""
    models = np.vstack([np.ones((6, 6)), np.full((1, 6), 1e6)])
    assert np.abs(models.mean(axis=0)).max() > 1e5
    for rule in RULES:
        assert np.abs(combined(rule, models).step).max() < 3, rule


def test_blocks_make_no_difference_and_sketches_little(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    models = random.normal(size=(6, 3 * CHUNK + 77)) + 0.2
    models[2] += 3
    whole = {rule: combined(rule, models) for rule in RULES}
    monkeypatch.setattr(steps_module, "BLOCK_VALUES", 6 * CHUNK)
    for rule in RULES:
        np.testing.assert_array_equal(combined(rule, models).step, whole[rule].step)
    for rule, shares in (
        ("geometric-median", geometric_median(models)),
        ("centred-clipping", centred_clipping(models)),
    ):
        np.testing.assert_allclose(whole[rule].shares, shares, atol=0.02)
    assert whole["krum"].shares[2] == krum(models, 1)[2] == 0
    assert whole["median"].distances.argmax() == 2


def test_sketches_keep_distances_and_depend_on_their_seed() -> None:
    vectors = np.random.default_rng(2).normal(size=(4, 50_000))
    found = []
    for seed in (b"one", b"two"):
        sketches = Sketches(4, 50_000, seed)
        for start in range(0, 50_000, 2 * CHUNK):
            sketches.add(start, vectors[:, start : start + 2 * CHUNK])
        found.append(sketches.values)
    for one, other in itertools.combinations(range(4), 2):
        truth = np.linalg.norm(vectors[one] - vectors[other])
        for values in found:
            assert np.linalg.norm(values[one] - values[other]) == pytest.approx(truth, rel=0.1)
    assert np.abs(found[0] - found[1]).max() > 1


def test_a_vector_that_one_seed_does_not_see_another_does() -> None:
    """So the seed is drawn from all updates, after they have arrived."""
    size, alone = 3 * CHUNK, 300
    single = Sketches(alone, size, b"known")
    single.add(0, np.eye(alone, CHUNK))  # where each value goes, with its sign
    places = np.abs(single.values).argmax(axis=1).tolist()
    first, second = next((a, b) for a, b in itertools.combinations(range(alone), 2) if places[a] == places[b])
    hidden = np.zeros((1, size))
    hidden[0, first] = 1e6
    hidden[0, second] = -1e6 * (single.values[first] @ single.values[second])
    for seed, seen in ((b"known", 0.0), (b"fresh", np.sqrt(2) * 1e6)):
        sketches = Sketches(1, size, seed)
        sketches.add(0, hidden)
        assert np.linalg.norm(sketches.values) == pytest.approx(seen)


def test_least_clinics_worked_out_by_hand() -> None:
    assert [least_clinics("median", f) for f in (0, 1, 2)] == [1, 3, 5]
    assert [least_clinics("krum", f) for f in (0, 1, 2)] == [3, 5, 7]


def test_memory_is_that_of_a_block_and_a_few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 24 updates of 4 MB; the median, and the sorting for the trimmed mean, need the most."""
    monkeypatch.setattr(steps_module, "BLOCK_VALUES", 2**18)
    parameters, clinics = 2**20, 24

    def read(values: int) -> Iterator[tuple[int, np.ndarray]]:
        random = np.random.default_rng(0)
        for place in range(0, parameters, values):
            yield place, random.standard_normal((clinics, min(values, parameters - place)), np.float32)

    ones = np.ones((clinics, 1))
    steps = Steps(np.zeros(parameters, np.float32), read, np.zeros(parameters, np.uint8), ones, ones)
    for rule in ("median", "trimmed-mean"):
        tracemalloc.start()
        combine(rule, 1, steps, b"seed")  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40e6 < clinics * parameters * 4, rule
