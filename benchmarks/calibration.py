"""How far a run's model can be trusted on images it never saw: calibration, abstaining, what lies outside.

    python -m benchmarks.calibration RUN HAM10000 ISIC2017 [--keep FOLDER] [--figure FILE] [--json]

RUN is the folder of an ``fl-simulate --out`` on HAM10000. Everything is fitted to its clinics' validation
images (and, for what lies outside, training images), and measured on their test images and on ISIC 2017. What
lies outside: HAM10000's diagnoses that the model does not know (near), and pictures that are no dermoscopic
images, from those packages of scikit-learn, matplotlib, scikit-image and dermapred that are installed.
FOLDER keeps what the model makes of the images, for the next time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from benchmarks.calibration_images import ImageSets, all_outputs, together
from benchmarks.out_of_distribution_scores import CANDIDATES
from dermafed.shared.metrics.calibration.calibration_sums import CalibrationSums
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs
from dermafed.shared.metrics.calibration.out_of_distribution import WITHIN_THRESHOLD
from dermafed.shared.metrics.calibration.reliability import ConfidenceBins, ReliabilityBin
from dermafed.shared.metrics.calibration.selective_prediction import select
from dermafed.shared.metrics.intervals import wilson

Row = dict[str, Any]
Scores = NDArray[np.float64]

MELANOMA = 0  # of the paper's classes

_BAR, _LINE = "#4477aa", "#bb5566"  # told apart by the colour-blind (Paul Tol's)


def counted(outputs: NetworkOutputs, temperature: float) -> ConfidenceBins:
    return ConfidenceBins.count(
        outputs.labels, softmax(outputs.logits.astype(np.float64) / temperature, axis=1)
    )


def calibration(sets: ImageSets) -> list[Row]:
    """The calibration error of test images: as they are, at the merged temperature, at the clinic's own."""
    own = {
        name: CalibrationSums.of(outputs.logits, outputs.labels) for name, outputs in sets.validation.items()
    }
    merged = reduce(add, own.values())
    tests = {"all clinics": sets.test, **{name: {name: outputs} for name, outputs in sets.test.items()}}
    tests["ISIC 2017"] = {"ISIC 2017": sets.isic}
    rows = []
    for test, parts in tests.items():
        at = {"before": dict.fromkeys(parts, 1.0), "merged": dict.fromkeys(parts, merged.best_temperature)}
        if parts.keys() <= own.keys():
            at["own"] = {name: own[name].best_temperature for name in parts}
        rows += [
            {"test": test, "temperature": how, **calibration_of(parts, each)} for how, each in at.items()
        ]
    return rows


def calibration_of(parts: dict[str, NetworkOutputs], temperatures: dict[str, float]) -> Row:
    """The calibration of all parts together, each at its temperature."""
    bins = reduce(add, (counted(outputs, temperatures[name]) for name, outputs in parts.items()))
    sums = [
        CalibrationSums.of(outputs.logits, outputs.labels, temperatures[name])
        for name, outputs in parts.items()
    ]
    used = set(temperatures.values())
    return {
        "images": int(bins.images.sum()),
        "divides_by": used.pop() if len(used) == 1 else None,
        "error": {"value": bins.error, **asdict(bins.error_interval())},
        "log_loss": float(sum(each.loss_after * each.images for each in sums) / bins.images.sum()),
    }


def abstaining(sets: ImageSets) -> list[Row]:
    """Coverage and risk of the rule that validation images gave."""
    validation = together(sets.validation)
    temperature = CalibrationSums.of(validation.logits, validation.labels).best_temperature
    selection = select(counted(validation, temperature))
    sides = {"validation": validation, "test": together(sets.test), "ISIC 2017": sets.isic}
    return [
        {
            "part": name,
            "threshold": selection.threshold,
            **sure(counted(outputs, temperature), selection.first_bin),
        }
        for name, outputs in sides.items()
    ]


def sure(bins: ConfidenceBins, first: int) -> Row:
    """What is sure from a bin on, how often it is wrong, and the melanomas in it."""
    images, right = (each[:, first:].sum(axis=1) for each in (bins.images, bins.correct))
    interval = wilson(int(images.sum() - right.sum()), int(images.sum()))
    assert interval is not None
    return {
        "images": int(bins.images.sum()),
        "risk_of_all": float(1 - bins.correct.sum() / bins.images.sum()),
        "coverage": float(images.sum() / bins.images.sum()),
        "risk": {"value": float(1 - right.sum() / images.sum()), **asdict(interval)},
        "sure_melanomas": int(images[MELANOMA]),
        "called_melanoma": int(right[MELANOMA]),
    }


def out_of_distribution(
    training: dict[str, NetworkOutputs],
    validation: dict[str, NetworkOutputs],
    sets: ImageSets,
    names: list[str],
) -> list[Row]:
    """AUROC of each score against every set, and the share beyond the threshold of validation images."""
    inside = together(sets.test if len(training) > 1 else {name: sets.test[name] for name in training})
    fitted = "all" if len(training) > 1 else next(iter(training))
    rows: list[Row] = []
    for name in names:
        score = CANDIDATES[name](together(training))
        threshold = np.quantile(score(together(validation)), WITHIN_THRESHOLD, method="higher")
        known = score(inside)
        for other, outputs in {"test": inside, **sets.others, "ISIC 2017": sets.isic}.items():
            found = score(outputs)
            row = {"score": name, "fitted_to": fitted, "set": other, "images": len(found)}
            rows.append({**row, "auroc": auroc(known, found), "beyond": float((found > threshold).mean())})
    return rows


def auroc(known: Scores, found: Scores) -> float:
    truth = np.repeat([0, 1], [len(known), len(found)])
    return float(roc_auc_score(truth, np.concatenate([known, found])))


def measure(sets: ImageSets) -> dict[str, list[Row]]:
    used = [list(CANDIDATES)[-1]]
    own = [
        row
        for name in sets.train
        for row in out_of_distribution({name: sets.train[name]}, {name: sets.validation[name]}, sets, used)
    ]
    return {
        "calibration": calibration(sets),
        "unsure": abstaining(sets),
        "outside": out_of_distribution(sets.train, sets.validation, sets, list(CANDIDATES)) + own,
    }


def draw(sets: ImageSets, file: Path) -> None:
    """The reliability of the largest clinic's test images, before and at its own temperature."""
    clinic = max(sets.test, key=lambda name: len(sets.test[name].labels))
    test, validation = sets.test[clinic], sets.validation[clinic]
    own = CalibrationSums.of(validation.logits, validation.labels).best_temperature
    reliability_diagram(counted(test, 1.0), counted(test, own)).savefig(file)


def cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['value']:.3f} ({value['low']:.3f}–{value['high']:.3f})"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def show(found: dict[str, list[Row]]) -> None:
    for name, rows in found.items():
        table = Table(*rows[0], title=name)
        for row in rows:
            table.add_row(*map(cell, row.values()))
        Console(width=230).print(table)


def reliability_diagram(before: ConfidenceBins, after: ConfidenceBins) -> Figure:
    """Draw both sides by side; each bar has its 95 % interval, a faithful model follows the diagonal."""
    drawing = Figure(figsize=(7.0, 3.4), layout="constrained")
    sides = {"before": before, "after scaling": after}
    for axes, (name, bins) in zip(drawing.subplots(1, 2, sharey=True), sides.items(), strict=True):
        _draw(axes, bins.bars())
        axes.set_title(f"{name}: calibration error {bins.error:.3f}", fontsize=10)
        axes.set_xlabel("top probability")
    drawing.axes[0].set_ylabel("share that is right")
    return drawing


def _draw(axes: Axes, bars: Sequence[ReliabilityBin]) -> None:
    middles = [(bar.low + bar.high) / 2 for bar in bars]
    heights = np.array([bar.accuracy for bar in bars])
    reach = np.array([(bar.interval.low, bar.interval.high) for bar in bars]).T
    errors = np.abs(reach - heights)
    width = 0.9 * (bars[0].high - bars[0].low)
    axes.bar(middles, heights, width, color=_BAR, yerr=errors, ecolor="#666666", error_kw={"linewidth": 0.8})
    axes.plot([bar.confidence for bar in bars], heights, "o", color="black", markersize=2)
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1.2, linestyle="--")
    axes.set(xlim=(0, 1), ylim=(0, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("run", "ham10000", "isic2017"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--figure", type=Path, help="reliability of the largest clinic's test")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sets = all_outputs(given.run, given.ham10000, given.isic2017, given.keep)
    found = measure(sets)
    if given.figure is not None:
        draw(sets, given.figure)
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
