"""Similar cases: how often a neighbour has the diagnosis of the image, and how long a search takes.

    python -m benchmarks.similar_cases FEATURES [--plain PLAIN]

FEATURES is an ``.npz`` of images' features before a model's last layer: ``features`` (N, K), ``label`` and
``clinic`` (N,) int64, ``lesion`` (N,) text, ``query`` (N,) bool: which of them are asked about, and no space
is fitted to. PLAIN has the ``features`` (N, J) of the same images by a network that saw no lesion; they are
compared by their cosine. Precision at 5, within each clinic, other lesions only; intervals by 1,000 resamples
of the lesions. Without FEATURES, only the time is measured: 10,000 cases of 800 features.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermafed.client.clinic.similar.case_index import Case, CaseIndex
from dermafed.client.clinic.similar.case_space import CaseSpace
from dermafed.client.clinic.similar.nearest import COUNT, NearestCases
from dermafed.shared.training.exact_head.head_sums import HeadSums

Floats = NDArray[np.floating[Any]]
Space = Callable[[Floats, NDArray[np.int64], NDArray[np.bool_]], Floats]


def main() -> None:
    """Print the measurements as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path, nargs="?")
    parser.add_argument("--plain", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {"milliseconds": seconds_of_search()}
    if options.features is not None:
        images = dict(np.load(options.features))
        ours = hits(images, images["features"], case_space)
        found["precision"] = by_clinic(images, ours)
        if options.plain is not None:
            plain = hits(images, np.load(options.plain)["features"], cosine)
            found["precision, plain"], found["gain"] = by_clinic(images, plain), gains(images, ours - plain)
    print(json.dumps(found, indent=2))


def seconds_of_search(cases: int = 10_000, features: int = 800, repeats: int = 50) -> dict[str, float]:
    """Milliseconds of a search among so many cases, and of opening them."""
    rng = np.random.default_rng(0)
    labels, values = np.arange(cases) % 7, rng.normal(size=(cases, features)).astype(np.float32)
    named = tuple(Case(str(n), str(label), str(n), "", "", str(n)) for n, label in enumerate(labels))
    start = time.perf_counter()
    search = NearestCases(CaseIndex("", named, values), [str(label) for label in range(7)])
    opened = time.perf_counter() - start
    times = []
    for query in values[:repeats]:
        start = time.perf_counter()
        search.find(query)
        times.append(time.perf_counter() - start)
    return {
        "cases": cases,
        "open": round(1e3 * opened, 1),
        "median": round(1e3 * float(np.median(times)), 2),
        "slowest": round(1e3 * max(times), 2),
    }


def case_space(features: Floats, labels: NDArray[np.int64], fitted: NDArray[np.bool_]) -> Floats:
    """Points of the space that a clinic fits to its own cases."""
    classes = int(labels.max()) + 1
    return CaseSpace.fit(HeadSums.of(features[fitted], labels[fitted], np.ones(classes))).points(features)


def cosine(features: Floats, labels: NDArray[np.int64], fitted: NDArray[np.bool_]) -> Floats:
    """Features of length 1."""
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def hits(images: dict[str, Any], features: Floats, space: Space) -> NDArray[np.float64]:
    """Of each query, in order, the share of its nearest images that have its label."""
    shares = np.full(len(features), np.nan)
    for clinic in np.unique(images["clinic"]):
        here = np.flatnonzero(images["clinic"] == clinic)
        labels, lesions, asked = (images[name][here] for name in ("label", "lesion", "query"))
        points = space(features[here], labels, ~asked)
        distances = (points**2).sum(axis=1) - 2 * points[asked] @ points.T
        distances[lesions[asked][:, None] == lesions] = np.inf
        nearest = np.argsort(distances, axis=1)[:, :COUNT]
        shares[here[asked]] = (labels[nearest] == labels[asked][:, None]).mean(axis=1)
    return shares[images["query"]]


def averages(images: dict[str, Any], values: Floats, weights: Floats) -> dict[str, float]:
    """Means over all queries, over the classes' means, and over the clinics' means."""
    asked = images["query"]
    found = {"all": float(np.average(values, weights=weights))}
    for name in ("label", "clinic"):
        groups = images[name][asked]
        parts = [groups == group for group in np.unique(groups)]
        means = [np.average(values[part], weights=weights[part]) for part in parts if weights[part].any()]
        found[f"mean of {name}s"] = float(np.mean(means))
    return found


def gains(images: dict[str, Any], differences: Floats) -> dict[str, list[float]]:
    """Each mean of the differences, with its 95 % interval over lesions."""
    rng = np.random.default_rng(0)
    lesions, of = np.unique(images["lesion"][images["query"]], return_inverse=True)
    draws = rng.multinomial(len(lesions), np.full(len(lesions), 1 / len(lesions)), 1000)
    drawn = [averages(images, differences, draw[of]) for draw in draws]
    found = averages(images, differences, np.ones(len(of)))
    ends = {name: np.quantile([each[name] for each in drawn], (0.025, 0.975)) for name in found}
    return {name: [round(float(x), 3) for x in (value, *ends[name])] for name, value in found.items()}


def by_clinic(images: dict[str, Any], shares: Floats) -> dict[str, float]:
    """The means, and that of each clinic."""
    clinics = images["clinic"][images["query"]]
    each = {f"clinic {name}": float(shares[clinics == name].mean()) for name in np.unique(clinics)}
    found = {**averages(images, shares, np.ones(len(shares))), **each}
    return {name: round(value, 3) for name, value in found.items()}


if __name__ == "__main__":
    main()
