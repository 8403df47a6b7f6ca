"""How far a run's model can be trusted on images it never saw: calibration, abstaining, what lies outside.

    python -m benchmarks.trust RUN HAM10000 ISIC2017 [--keep FOLDER] [--figure FILE] [--json]

RUN is the folder of an ``fl-simulate --out`` on HAM10000. Everything is fitted to its clinics' validation
images (and, for what lies outside, training images), and measured on their test images and on ISIC 2017. What
lies outside: HAM10000's diagnoses that the model does not know (near), and pictures that are no dermoscopic
images, from those packages of scikit-learn, matplotlib, scikit-image and dermapred that are installed.
FOLDER keeps what the model makes of the images, for the next time.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from benchmarks.outside_scores import CANDIDATES
from benchmarks.trust_looks import Seen, look_everywhere, together
from shared.metrics.intervals import wilson
from shared.trust.figure import reliability_figure
from shared.trust.looking import Looks
from shared.trust.outside import SEEN
from shared.trust.reliability import ConfidenceBins
from shared.trust.selection import select
from shared.trust.sums import TrustSums

Row = dict[str, Any]


def counted(looks: Looks, temperature: float) -> ConfidenceBins:
    return ConfidenceBins.count(looks.labels, softmax(looks.logits.astype(np.float64) / temperature, axis=1))


def calibration(seen: Seen) -> list[Row]:
    """The calibration error of test images: as they are, at the merged temperature, at the clinic's own."""
    own = {name: TrustSums.of(looks.logits, looks.labels) for name, looks in seen.validation.items()}
    merged = reduce(add, own.values())
    tests = {"all clinics": seen.test, **{name: {name: looks} for name, looks in seen.test.items()}}
    tests["ISIC 2017"] = {"ISIC 2017": seen.isic}
    rows = []
    for test, parts in tests.items():
        at = {"before": dict.fromkeys(parts, 1.0), "merged": dict.fromkeys(parts, merged.best_temperature)}
        if parts.keys() <= own.keys():
            at["own"] = {name: own[name].best_temperature for name in parts}
        figures = {how: judged(parts, temperatures) for how, temperatures in at.items()}
        rows.append({"test": test, "images": sum(len(looks.labels) for looks in parts.values()), **figures})
    return rows


def judged(parts: dict[str, Looks], temperatures: dict[str, float]) -> Row:
    """The calibration of all parts together, each at its temperature."""
    bins = reduce(add, (counted(looks, temperatures[name]) for name, looks in parts.items()))
    sums = [TrustSums.of(looks.logits, looks.labels, temperatures[name]) for name, looks in parts.items()]
    return {
        "temperature": list(temperatures.values()),
        "error": bins.error,
        "interval": asdict(bins.error_interval()),
        "log_loss": sum(each.loss_after * each.images for each in sums) / bins.images.sum(),
    }


def abstaining(seen: Seen) -> list[Row]:
    """Coverage and risk of the rule that validation images gave."""
    validation = together(seen.validation)
    temperature = TrustSums.of(validation.logits, validation.labels).best_temperature
    rule = select(counted(validation, temperature))
    rows = []
    for name, looks in {
        "validation": validation,
        "test": together(seen.test),
        "ISIC 2017": seen.isic,
    }.items():
        bins = counted(looks, temperature)
        sure, right = (each[:, rule.first_bin :].sum(axis=1) for each in (bins.images, bins.correct))
        interval = wilson(int(sure.sum() - right.sum()), int(sure.sum()))
        assert interval is not None
        rows.append(
            {
                "images of": name,
                "images": int(bins.images.sum()),
                "threshold": rule.threshold,
                "risk_of_all": float(1 - bins.correct.sum() / bins.images.sum()),
                "coverage": float(sure.sum() / bins.images.sum()),
                "risk": float(1 - right.sum() / sure.sum()),
                "interval": asdict(interval),
                "sure": sure.tolist(),
                "found": right.tolist(),
            }
        )
    return rows


def outside(
    training: dict[str, Looks], validation: dict[str, Looks], seen: Seen, names: list[str]
) -> list[Row]:
    """AUROC of each score against every set, and the share beyond the threshold of validation images."""
    inside, sets = (
        together(seen.test if len(training) > 1 else {n: seen.test[n] for n in training}),
        seen.others,
    )
    rows = []
    for name in names:
        score = CANDIDATES[name](together(training))
        threshold = np.quantile(score(together(validation)), SEEN, method="higher")
        known = score(inside)
        row: Row = {"score": name, "fitted to": ", ".join(training)}
        row["test"] = {"beyond": float((known > threshold).mean()), "images": len(known)}
        for other, looks in {**sets, "ISIC 2017": seen.isic}.items():
            found = score(looks)
            truth = np.repeat([0, 1], [len(known), len(found)])
            row[other] = {
                "auroc": float(roc_auc_score(truth, np.concatenate([known, found]))),
                "beyond": float((found > threshold).mean()),
                "images": len(found),
            }
        rows.append(row)
    return rows


def measure(seen: Seen) -> dict[str, list[Row]]:
    used = [list(CANDIDATES)[-1]]
    own = [
        outside({name: seen.train[name]}, {name: seen.validation[name]}, seen, used)[0] for name in seen.train
    ]
    return {
        "calibration": calibration(seen),
        "unsure": abstaining(seen),
        "outside": outside(seen.train, seen.validation, seen, list(CANDIDATES)) + own,
    }


def draw(seen: Seen, file: Path) -> None:
    """The reliability of the largest clinic's test images, before and at its own temperature."""
    clinic = max(seen.test, key=lambda name: len(seen.test[name].labels))
    test, validation = seen.test[clinic], seen.validation[clinic]
    own = TrustSums.of(validation.logits, validation.labels).best_temperature
    reliability_figure(counted(test, 1.0), counted(test, own)).savefig(file)


def cell(value: Any) -> str:
    if not isinstance(value, dict):
        return f"{value:.3f}" if isinstance(value, float) else str(value)
    if "error" in value:
        low, high = value["interval"]["low"], value["interval"]["high"]
        told = f"{value['error']:.3f} ({low:.3f}–{high:.3f})"
        temperatures = ", ".join(sorted({f"{each:.2f}" for each in value["temperature"]}))
        return f"{told}, T {temperatures}, {value['log_loss']:.3f}"
    if "beyond" in value:
        return (
            f"{value['auroc']:.2f} / {value['beyond']:.0%}" if "auroc" in value else f"{value['beyond']:.0%}"
        )
    return f"{value['low']:.3f}–{value['high']:.3f}"


def show(found: dict[str, list[Row]]) -> None:
    for name, rows in found.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        table = Table(*columns, title=name)
        for row in rows:
            table.add_row(*(cell(row[key]) if key in row else "" for key in columns))
        Console(width=230).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("run", "ham10000", "isic2017"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--figure", type=Path, help="reliability of the largest clinic's test")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    seen = look_everywhere(given.run, given.ham10000, given.isic2017, given.keep)
    found = measure(seen)
    if given.figure is not None:
        draw(seen, given.figure)
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
