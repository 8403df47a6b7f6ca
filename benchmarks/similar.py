"""Similar cases: how often a neighbour has the diagnosis of the image, and how long a search takes.

    python -m benchmarks.similar RUN WEIGHTS [--cases 400] [--features FOLDER] [--json]

RUN is the folder of a federated run of ``fl-simulate``; WEIGHTS the .h5 file of its backbone before any
lesion. Each clinic's validation images are asked about, and its training images are the cases, at most so
many of them, drawn at random. The five nearest of other lesions are those by the space that the clinic fits
to its own cases, or by the cosine of what the backbone with WEIGHTS makes of the images (the means of its
last maps). Intervals are of 1,000 resamples of the lesions asked about. FOLDER keeps the features for another
time.

The search is timed among 10,000 random cases of as many features.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from dermafed.client.clinic.similar.case_index import Case, CaseIndex
from dermafed.client.clinic.similar.case_space import CaseSpace
from dermafed.client.clinic.similar.nearest import COUNT, NearestCases
from dermafed.shared.lesions.clinic_split import ClinicSplit, read_clinic_split
from dermafed.shared.model.image_features import features_network
from dermafed.shared.model.initial_weights import initial_classifier
from dermafed.shared.model.model_file import load_model
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.exact_head.head_sums import HeadSums
from dermafed.shared.training.predict import apply_in_batches

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int64]
Space = Callable[[Floats, Indices, NDArray[np.bool_]], Floats]
"""From features, labels, and which images are cases, to points whose distances are compared."""

PLAIN, OURS, GAIN = "ImageNet features, cosine", "similar cases", "gain"
OVER = ("all images", "mean over diagnoses", "mean over clinics")


@dataclass(frozen=True, eq=False)
class Images:
    """Images of some clinics, and what two networks make of them.

    Attributes:
        clinics: which clinic each is of, (N,).
        labels: diagnoses (N,).
        lesions: the lesion's name (N,).
        asked: which are asked about; the others are cases, (N,).
        features: by the run's model (N, K), and by the network before any lesion (N, J).
    """

    clinics: NDArray[np.str_]
    labels: Indices
    lesions: NDArray[np.str_]
    asked: NDArray[np.bool_]
    features: tuple[Floats, Floats]


def read_images(run: Path, weights: str, cases: int) -> Images:
    """The images of a run's clinics, with their features."""
    configure_backend(1)
    model, card = load_model(run / "model.keras")
    plain = initial_classifier(replace(card.model, features="pooled"), weights, seed=0)
    clinics = [read_clinic_split(folder) for folder in sorted((run / "sites/clinics").iterdir())]
    drawn = [(clinic.name, record, asked) for clinic in clinics for record, asked in _drawn(clinic, cases)]
    names, records, asked = zip(*drawn, strict=True)
    data = load_labelled(records, card.model, card.preprocess)
    features = [
        apply_in_batches(features_network(each), data.images, data.metadata) for each in (model, plain)
    ]
    lesions = np.array([record.group for record in records])
    return Images(np.array(names), data.labels, lesions, np.array(asked), (features[0], features[1]))


def _drawn(clinic: ClinicSplit, cases: int) -> list[tuple[Any, bool]]:
    """The validation images, and some training images."""
    train = clinic.splits.train
    order = np.random.default_rng(0).permutation(len(train))[:cases]
    return [*((record, True) for record in clinic.splits.validation), *((train[at], False) for at in order)]


def kept_images(folder: Path | None, run: Path, weights: str, cases: int) -> Images:
    """The same, from a folder where they are, and else kept there."""
    path = None if folder is None else folder / f"similar-{cases}.npz"
    if path is not None and path.exists():
        kept = dict(np.load(path))
        first, second = kept.pop("model"), kept.pop("plain")
        return Images(**kept, features=(first, second))
    found = read_images(run, weights, cases)
    if path is not None:
        both = dict(zip(("model", "plain"), found.features, strict=True))
        rest = {name: getattr(found, name) for name in ("clinics", "labels", "lesions", "asked")}
        np.savez(path, **rest, **both)
    return found


def case_space(features: Floats, labels: Indices, cases: NDArray[np.bool_]) -> Floats:
    """Points of the space that a clinic fits to its own cases."""
    classes = int(labels.max()) + 1
    return CaseSpace.fit(HeadSums.of(features[cases], labels[cases], np.ones(classes))).points(features)


def cosine(features: Floats, labels: Indices, cases: NDArray[np.bool_]) -> Floats:
    """Features of length 1."""
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def precision_at_5(images: Images, features: Floats, space: Space) -> Floats:
    """Of each image asked about, in order, the share of its nearest cases that have its diagnosis."""
    shares = np.full(len(features), np.nan)
    for clinic in np.unique(images.clinics):
        here = np.flatnonzero(images.clinics == clinic)
        labels, lesions, asked = images.labels[here], images.lesions[here], images.asked[here]
        points = space(features[here], labels, ~asked)
        distances = (points**2).sum(axis=1) - 2 * points[asked] @ points.T
        distances[:, asked] = np.inf
        distances[lesions[asked][:, None] == lesions] = np.inf
        nearest = np.argsort(distances, axis=1)[:, :COUNT]
        shares[here[asked]] = (labels[nearest] == labels[asked][:, None]).mean(axis=1)
    return shares[images.asked]


def means(images: Images, shares: Floats, weights: Floats) -> dict[str, float]:
    """Over all images asked about, over the means of diagnoses and of clinics, and of each clinic."""
    found = {OVER[0]: float(np.average(shares, weights=weights))}
    clinics, labels = images.clinics[images.asked], images.labels[images.asked]
    for name, groups in zip(OVER[1:], (labels, clinics), strict=True):
        parts = [groups == group for group in np.unique(groups)]
        own = [
            float(np.average(shares[part], weights=weights[part])) for part in parts if weights[part].any()
        ]
        found[name] = float(np.mean(own))
    for clinic in np.unique(clinics):
        part = clinics == clinic
        found[str(clinic)] = (
            float(np.average(shares[part], weights=weights[part])) if weights[part].any() else np.nan
        )
    return found


def with_intervals(
    images: Images, shares: Floats, repeats: int = 1000
) -> dict[str, tuple[float, float, float]]:
    """Each mean with the ends of its 95 % interval, by resampled lesions."""
    lesions, of = np.unique(images.lesions[images.asked], return_inverse=True)
    draws = np.random.default_rng(0).multinomial(
        len(lesions), np.full(len(lesions), 1 / len(lesions)), repeats
    )
    drawn = [means(images, shares, draw[of].astype(float)) for draw in draws]
    found = means(images, shares, np.ones(len(of)))
    ends = {over: np.nanquantile([each[over] for each in drawn], (0.025, 0.975)) for over in found}
    return {over: (mean, float(ends[over][0]), float(ends[over][1])) for over, mean in found.items()}


def precisions(images: Images) -> list[dict[str, Any]]:
    """A line for each way to compare, and for what one gains over the other, by what it is the mean over."""
    ours, plain = (
        precision_at_5(images, features, space)
        for features, space in zip(images.features, (case_space, cosine), strict=True)
    )
    return [
        {"over": over, "of": of, "mean": mean, "low": low, "high": high}
        for of, shares in ((PLAIN, plain), (OURS, ours), (GAIN, ours - plain))
        for over, (mean, low, high) in with_intervals(images, shares).items()
    ]


def counts(images: Images) -> list[dict[str, Any]]:
    """How many images of each clinic are asked about, and how many are cases."""
    places = {OVER[0]: np.ones(len(images.asked), bool)}
    places |= {str(clinic): images.clinics == clinic for clinic in np.unique(images.clinics)}
    return [
        {"over": over, "asked": int(images.asked[own].sum()), "cases": int((~images.asked[own]).sum())}
        for over, own in places.items()
    ]


def search_times(cases: int = 10_000, features: int = 800, repeats: int = 50) -> dict[str, Any]:
    """Milliseconds of a search among so many cases, and of opening them."""
    rng = np.random.default_rng(0)
    labels, values = np.arange(cases) % 7, rng.normal(size=(cases, features)).astype(np.float32)
    named = tuple(Case(str(n), str(label), str(n), "", "", str(n)) for n, label in enumerate(labels))
    start = time.perf_counter()
    search = NearestCases(CaseIndex("", named, values), [str(label) for label in range(7)])
    opened, times = time.perf_counter() - start, []
    for query in values[:repeats]:
        start = time.perf_counter()
        search.find(query)
        times.append(time.perf_counter() - start)
    found = {"open": opened, "median": float(np.median(times)), "slowest": max(times)}
    return {"cases": cases, "features": features, **{name: 1e3 * own for name, own in found.items()}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("weights")
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    images = kept_images(given.features, given.run, given.weights, given.cases)
    found = {"precision": precisions(images), "images": counts(images), "search": [search_times()]}
    if given.json:
        print(json.dumps(found, indent=1))
        return
    for name, rows in found.items():
        table = Table(*rows[0], title=name)
        for row in rows:
            table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row.values()))
        Console().print(table)


if __name__ == "__main__":
    main()
