"""Metrics of a classifier on one test set, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from dermafed.shared.metrics.evaluation import checked_predictions, cross_entropy
from dermafed.shared.metrics.intervals import Interval, Resamples, resample, wilson


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """One class against the rest; all ``None`` for a class without images, ``auc`` also for the only one."""

    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None
    support: int


@dataclass(frozen=True, slots=True)
class Intervals:
    """95 % intervals; each names its method, and is ``None`` where its metric is undefined."""

    accuracy: Interval | None
    balanced_accuracy: Interval | None
    auc: Interval | None
    f1: Interval | None
    recall: dict[str, Interval | None]


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationMetrics:
    """Metrics of a classifier on one test set.

    Macro metrics are means over the classes that have images in this test; ``absent`` names the others.

    Attributes:
        classes: names in the order of the model's outputs.
        absent: classes without an image in this test.
        images: number of images.
        accuracy: share of images whose most probable class is the true one.
        balanced_accuracy: mean recall of the classes (so it equals ``recall``).
        auc: mean area under the ROC curve, each class against the rest; ``None`` with one class only.
        precision: macro precision; a class never predicted counts 0.
        recall: macro recall.
        f1: macro F1.
        log_loss: mean cross-entropy in nats.
        per_class: the metrics of each class.
        confusion: int64 (C, C), rows are the truth, columns the prediction.
        intervals: 95 % intervals.
    """

    classes: tuple[str, ...]
    absent: tuple[str, ...]
    images: int
    accuracy: float
    balanced_accuracy: float
    auc: float | None
    precision: float
    recall: float
    f1: float
    log_loss: float
    per_class: dict[str, ClassMetrics]
    confusion: NDArray[np.int64]
    intervals: Intervals

    def to_dict(self) -> dict[str, Any]:
        """The same as plain Python values, ready for JSON (tuples become lists there)."""
        return asdict(self) | {"confusion": self.confusion.tolist()}


def classification_report(
    labels: ArrayLike,
    probabilities: ArrayLike,
    classes: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
) -> ClassificationMetrics:
    """Compute the metrics of predictions on one test set.

    Args:
        labels: int (N,), indices into ``classes``.
        probabilities: float (N, C) in [0, 1], rows sum to 1.
        classes: C names.
        groups: lesion of each image (N), for the bootstrap; ``None``: each image is its own lesion.
        seed: seed of the bootstrap.
        bootstrap: number of resamples; 0 leaves out the intervals that need them.

    Returns:
        Metrics with Wilson intervals for accuracy and recall, bootstrap intervals for the macro metrics.

    Raises:
        DatasetError: there is no image.
        ValueError: labels, probabilities, classes and groups do not fit each other, or contain NaN.
    """
    truth, scores = checked_predictions(labels, probabilities, len(classes))
    if groups is not None and len(groups) != truth.size:
        raise ValueError(f"{len(groups)} groups for {truth.size} images")
    predicted = scores.argmax(axis=1)
    confusion = confusion_matrix(truth, predicted, labels=range(len(classes)))
    scored = precision_recall_fscore_support(truth, predicted, labels=range(len(classes)), zero_division=0)
    present = scored[3] > 0
    precision, recall, f1 = (float(values[present].mean()) for values in scored[:3])
    auc = [_auc(truth == index, scores[:, index]) for index in range(len(classes))]
    defined = [value for value in auc if value is not None]
    return ClassificationMetrics(
        classes=tuple(classes),
        absent=tuple(name for name, has_images in zip(classes, present, strict=True) if not has_images),
        images=truth.size,
        accuracy=float(np.trace(confusion) / truth.size),
        balanced_accuracy=recall,
        auc=float(np.mean(defined)) if defined else None,
        precision=precision,
        recall=recall,
        f1=f1,
        log_loss=float(cross_entropy(truth, scores).mean()),
        per_class={name: _class_metrics(*row) for name, *row in zip(classes, *scored, auc, strict=True)},
        confusion=confusion.astype(np.int64),
        intervals=_intervals(classes, confusion, resample(truth, scores, groups, seed=seed, count=bootstrap)),
    )


def _auc(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> float | None:
    one_sided = positive.all() or not positive.any()
    return None if one_sided else float(roc_auc_score(positive, scores))


def _class_metrics(
    precision: float, recall: float, f1: float, support: int, auc: float | None
) -> ClassMetrics:
    if support == 0:
        return ClassMetrics(None, None, None, None, 0)
    return ClassMetrics(float(precision), float(recall), float(f1), auc, int(support))


def _intervals(classes: Sequence[str], confusion: NDArray[np.int64], samples: Resamples) -> Intervals:
    hits, truth = np.diagonal(confusion), confusion.sum(axis=1)
    return Intervals(
        accuracy=wilson(int(hits.sum()), int(truth.sum())),
        balanced_accuracy=samples.interval(samples.balanced_accuracy),
        auc=samples.interval(samples.auc),
        f1=samples.interval(samples.f1),
        recall={name: wilson(int(h), int(n)) for name, h, n in zip(classes, hits, truth, strict=True)},
    )
