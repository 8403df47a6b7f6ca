"""The counts on the page, beside those of plain loops over validation lesions, diagnoses and opinions."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from html import unescape
from pathlib import Path

import numpy as np
from scipy.special import softmax

from dermafed.client.clinic.diagnosis.diagnoser import Diagnoser
from dermafed.client.clinic.store.opinions import Opinion
from dermafed.shared.metrics.calibration.calibration import Calibration, fit_calibration
from dermafed.shared.metrics.calibration.clinic_alert import fit_clinic_alert
from dermafed.shared.metrics.calibration.network_outputs import NetworkOutputs
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from tests.client.clinic.http.http_node import CLASSES, png, running
from tests.client.clinic.http.test_melanoma_first import ALERT
from tests.client.clinic.store.samples import save_one
from tests.shared.metrics.calibration.test_promise_after_calibration import logits_of

LESIONS = np.repeat([0, 1, 2], [80, 150, 60])  # the class of each


def calibrated() -> tuple[Calibration, NetworkOutputs, list[str]]:
    """As ``fl-client calibrate`` does it with a network's outputs; a third of the lesions have two images."""
    rng = np.random.default_rng(5)
    lesion = np.concatenate([np.arange(LESIONS.size), np.arange(0, LESIONS.size, 3)])
    labels = LESIONS[lesion]
    outputs = NetworkOutputs(
        logits_of(labels, rng), rng.normal(size=(labels.size, 4)).astype(np.float32), labels
    )
    names = [f"lesion-{each}" for each in lesion]
    calibration = fit_calibration("0" * 64, CLASSES, outputs, outputs)
    alert = fit_clinic_alert(calibration, outputs, names, DecisionSettings())
    return replace(calibration, alert=alert, out_of_distribution=None), outputs, names


def test_found_and_missed_are_counted_lesion_by_lesion(diagnoser: Diagnoser, tmp_path: Path) -> None:
    calibration, outputs, names = calibrated()
    with running(diagnoser, tmp_path / "graz", calibration) as node:
        anna = node.clinician("of-counts")
        made = anna.post("/v1/diagnoses", files={"image": png(3)}).json()
        page = unescape(anna.get(f"/diagnoses/{made['id']}").text)
    point = calibration.point
    assert point is not None
    found, melanomas = set(), set()
    for logits, label, name in zip(outputs.logits, outputs.labels, names, strict=True):
        shifted = point.scale * (logits - logits.mean()) + point.offsets
        if label == 0:
            melanomas.add(name)
            if softmax(shifted.astype(float))[0] >= made["alert_threshold"]:
                found.add(name)
    assert 0 < len(found) < len(melanomas) == 80
    said = f"Of 80 melanomas at this clinic the alert found {len(found)} and missed {80 - len(found)} "
    assert said in page


def test_the_worklist_and_the_months_count_what_the_store_has(diagnoser: Diagnoser, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    calibration, *_ = calibrated()
    with running(diagnoser, tmp_path / "graz", calibration) as node:
        store, used = node.store, node.service.diagnoser.model.used
        alerts = undecided = judged = disagreements = 0
        for number in range(12):
            raised, unsure, said = (int(each) for each in rng.integers((2, 2, 5)))
            changes = {**ALERT, "alert": bool(raised), "unsure": bool(unsure), "model": used}
            made = save_one(store, number, **changes)
            if said:
                store.add_opinion(made.id, Opinion("ben", said > 1, None if said > 1 else "melanoma"))
            if said == 4:
                store.withdraw_opinion(made.id, "ben")
            stands = said in (1, 2, 3)
            alerts, undecided = alerts + raised, undecided + unsure
            judged, disagreements = judged + stands, disagreements + (said == 1)
        page = node.clinician("of-worklists").get("/day").text
        months = store.count_answers(date.today(), date.today() + timedelta(1), used.sha256)
    shown = dict(
        re.findall(r'href="/day/[\d-]+(?:\?show=(\w+))?"[^>]*>[^<]*<span class="number">(\d+)</span>', page)
    )
    assert shown == {"": "12", "alert": str(alerts), "undecided": str(undecided), "open": str(12 - judged)}
    assert months == {"answers": 12, "alerts": alerts, "judged": judged, "disagreements": disagreements}
    assert min(alerts, undecided, judged, disagreements) > 0
