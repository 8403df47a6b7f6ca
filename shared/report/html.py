"""A run's result, history and example images as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from dermafed.shared.report.audit_tables import DASH, HOW, audit_tables, counted
from dermafed.shared.report.plots import CLASS_COLOURS, curve, decision_curves, photograph, roc
from dermafed.shared.report.sentences import duration, headline, number, setting, spaced, verdict
from dermafed.shared.storage.atomic_files import write_atomically

Image = NDArray[np.uint8]
Predictions = tuple[NDArray[np.int64], NDArray[np.float64]]

_ARMS = ("local", "federated", "tuned", "pooled")
_STAGE_PIXELS, _SHEET_PIXELS = 480, 1600
_CURVES = {
    "validation_balanced_accuracy": ("Balanced accuracy", "Higher is better; 1 is perfect."),
    "validation_auc": ("AUC", "Higher is better; 0.5 is guessing."),
    "validation_loss": ("Loss", "Lower is better; a rise at the end means overfitting."),
}

_KNOWS_NOTHING = "the same of {}: what a map that does not look has"
_NULLS = {
    "blob": "a blob in the middle",
    "mean_mask": "the mean mask of training images",
    "other_image": "another image's map",
}
_PRECISION = {
    "pixel_precision": "1 is good: the map ranks the lesion's pixels before all others (average precision)",
    "off_centre_precision": "the same on the third of images whose lesion is farthest from the middle",
}
_MEASURES = {
    name: about
    for precision, meaning in _PRECISION.items()
    for name, about in (
        (precision, meaning),
        *((f"{precision}_{null}", _KNOWS_NOTHING.format(what)) for null, what in _NULLS.items()),
    )
} | {
    "deletion": "low is good: the score falls as what matters is removed",
    "insertion": "high is good: the score rises as what matters is shown",
    "drop": "low is good: loss of score with only the map's part in view",
    "increase": "share of images whose score rose with only the map's part in view",
    "pointing": "share of the map inside the lesion",
    "pointing_chance": "the lesion's share of the image: what a map without knowledge has",
    "stability_shift": "1 is good: the same map after a small shift",
    "stability_noise": "the same map after added noise",
    "stability_jpeg": "the same map after another JPEG compression",
}


_FINDER_MEASURES = {
    "dice": ("Dice", "overlap of outline and mask: 1 is perfect"),
    "jaccard": ("Jaccard", "their common part of both together: 1 is perfect"),
    "failed": ("failures", "share of images with a Jaccard index below 0.65"),
    "precision": ("average precision of pixels", "without a threshold: 1 is perfect"),
    "precision_off_centre": ("the same off centre", "of the third of lesions farthest from the middle"),
}


def write_report(
    path: Path,
    result: dict[str, Any],
    *,
    history: list[dict[str, Any]],
    predictions: dict[str, Predictions],
    stages: list[tuple[str, dict[str, Image]]],
    sheet: Image | None,
) -> None:
    """Write a run's report: self-contained, without links to other files, in full or not at all.

    Args:
        path: the HTML file; its folder exists.
        result: the content of ``result.json``; arms that did not run are ``None``.
        history: rows with ``arm`` ("federated", "pooled" or "local:NAME"), ``round`` and ``validation_...``
            metrics, which may be ``None``; and with ``clinics``, each clinic's part, where it was recorded.
        predictions: labels int (N,) and probabilities float (N, C) on the pooled test, by arm; the
            federated model's are drawn as ROC curves.
        stages: example images by name, each the steps of preprocessing: uint8 (H, W, 3) RGB by step.
        sheet: contact sheet of the images, uint8 (H, W, 3) RGB.

    Raises:
        StorageError: the file cannot be written.
    """
    page, found = _environment().get_template("template.html"), _melanoma(result)
    text = page.render(
        result=result,
        arms=_arms(result),
        headline=headline(result),
        verdict=verdict(result),
        groups=comparison(result),
        curves=[(*about, curve(history, key)) for key, about in _CURVES.items() if _has_points(history, key)],
        roc=roc(*predictions["federated"], result["classes"]) if "federated" in predictions else None,
        stages=[(name, _photographs(steps)) for name, steps in stages],
        sheet=None if sheet is None else photograph(sheet, _SHEET_PIXELS),
        class_colours=CLASS_COLOURS,
        melanoma=found,
        decision=None if found is None else _decision(found["arms"]),
        explanation_clinics=_explanation_clinics(result),
        measures=_measures(_explanation_clinics(result)),
        finder=result.get("lesion_finder"),
        finder_tests=_finder_tests(result),
        finder_measures=_FINDER_MEASURES,
        **_audit(result),
        steps=_clinics_steps(history),
    )
    write_atomically(path, text.encode())


def comparison(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The table of local, federated and pooled models: one group of rows a test set.

    Args:
        result: the run's result.

    Returns:
        ``{"name", "images", "rows": [(arm, metrics)]}`` for the pooled test, each clinic's own test and
        the mean over the clinics' tests; ``images`` is ``None`` where the metrics are means.
    """
    arms = _arms(result)
    # Tuned models differ by clinic. If each guessed another class, their pooled result would be too good.
    everywhere = [(arm, content) for arm, content in arms.items() if arm != "tuned"]
    pooled_test = [(arm, content.get("test", content)) for arm, content in everywhere]
    groups = [_group("All clinics' test images", pooled_test)]
    for clinic in result["clinics"]:
        name = clinic["name"]
        own = [(arm, content["clinics"][name]) for arm, content in arms.items() if name in content["clinics"]]
        groups.append(_group(name, own))
    means = [(arm, content["mean_over_clinics"]) for arm, content in arms.items()]
    groups.append(_group("Mean over the clinics' tests", means))
    return [group for group in groups if group["rows"]]


def _arms(result: Mapping[str, Any]) -> dict[str, Any]:
    return {arm: result[arm] for arm in _ARMS if result.get(arm)}


def _melanoma(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the models make of melanoma, by arm; with offsets where these were fitted."""
    found = result.get("melanoma") or {}
    offsets = bool(found.get("with_offsets"))
    arms = found.get("with_offsets" if offsets else "as_trained", {})
    if not (arms.get("federated") or {}).get("together"):
        return None
    return {"offsets": offsets, "arms": {arm: arms[arm] for arm in _ARMS if arms.get(arm)}}


def _decision(arms: Mapping[str, Any]) -> Markup | None:
    shown = {arm: arms[arm]["decision_curve"] for arm in ("local", "pooled", "federated") if arm in arms}
    curves = {arm: points for arm, points in shown.items() if points}
    return decision_curves(curves) if curves else None


def _explanation_clinics(result: Mapping[str, Any]) -> dict[str, Any]:
    """The explanation quality of each clinic by name; that of all images together comes last."""
    explanations = result.get("explanations") or {"clinics": {}, "all": None}
    together = {"all clinics": explanations["all"]} if explanations["all"] else {}
    return {**explanations["clinics"], **together}


def _finder_tests(result: Mapping[str, Any]) -> dict[str, Any]:
    """The test of the lesion finder at each clinic by name; that of all images together comes last."""
    test = (result.get("lesion_finder") or {}).get("test")
    return {} if test is None else {**test["clinics"], "all clinics": test["all"]}


def _audit(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the section on shortcuts needs; ``audit_counted`` is empty where the run was not audited."""
    audit = result.get("audit")
    tables, text = ([], "") if audit is None else (audit_tables(audit), counted(audit))
    return {"audit_tables": tables, "audit_counted": text, "audit_how": HOW, "audit_dash": DASH}


def _measures(clinics: Mapping[str, Any]) -> dict[str, str]:
    """The measures that any clinic has, each with what it means; without masks some are missing."""
    found = {name for clinic in clinics.values() for name in clinic["measures"]}
    return {name: about for name, about in _MEASURES.items() if name in found}


def _clinics_steps(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each clinic's part in the last round that trained the federation, and its longest step of all rounds.

    None in secure sums, of which no clinic's part is known.
    """
    rounds = [row["clinics"] for row in history if row["arm"] == "federated" and _has_steps(row)]
    longest: dict[str, float] = {}
    for one in (one for clinics in rounds for one in clinics):
        longest[one["clinic"]] = max(longest.get(one["clinic"], 0.0), one["times_median"] or 0.0)
    return [{**one, "longest": longest[one["clinic"]]} for one in (rounds[-1] if rounds else [])]


def _has_steps(row: Mapping[str, Any]) -> bool:
    return any(one["norm"] is not None for one in row.get("clinics") or ())


def _group(name: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    images = next((metrics["images"] for _, metrics in rows if "images" in metrics), None)
    return {"name": name, "images": images, "rows": rows}


def _has_points(history: Sequence[Mapping[str, Any]], metric: str) -> bool:
    """Whether a curve has at least one point."""
    return any(row.get(metric) is not None for row in history)


def _photographs(steps: Mapping[str, Image]) -> dict[str, str]:
    return {step: photograph(image, _STAGE_PIXELS) for step, image in steps.items()}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for text_filter in (number, duration, spaced, setting):
        environment.filters[text_filter.__name__] = text_filter
    return environment
