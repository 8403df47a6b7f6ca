"""What is reported about a classifier, and how it is merged across clinics."""

from shared.metrics.classification import (
    ClassificationMetrics,
    ClassMetrics,
    Intervals,
    classification_report,
)
from shared.metrics.evaluation import SiteEvaluation
from shared.metrics.intervals import Interval

__all__ = [
    "ClassMetrics",
    "ClassificationMetrics",
    "Interval",
    "Intervals",
    "SiteEvaluation",
    "classification_report",
]
