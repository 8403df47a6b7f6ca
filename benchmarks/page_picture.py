"""The clinician's page in docs/clinician.md: a melanoma that the model has not seen, on a real node.

    python -m benchmarks.page_picture RUN PICTURE.webp [--clinic MSK] [--seed 0]

RUN is the folder of an ``fl-simulate --out``. The model is calibrated on the clinic's validation images, as
``fl-client calibrate`` does it, and served by ``fl-client serve``. The melanoma is drawn at random from the
clinic's test images, and printed. Images of the clinic must be free to be shown: MSK's are of ISIC 2017
(CC0). Needs Chromium, and the packages of the extra ``test``.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.run_images import arguments_of_a_picture, clinic_of_a_run
from benchmarks.serve.node import Node, running_node
from dermafed.client.clinic.diagnosis.opened_model import open_model
from dermafed.client.evaluation.calibrate import CalibrationImages, calibrate
from dermafed.shared.lesions.clinic_split import ClinicSplit
from dermafed.shared.metrics.calibration.calibration_file import save_calibration
from dermafed.shared.metrics.decision.decision_settings import DecisionSettings
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.training.backend import configure_backend

WIDTH, HEIGHT = 1100, 760  # pixels
_FILES = ("model.keras", "model.json", "model.finder.json", "result.json")


def calibrated_copy(run: Path, clinic: ClinicSplit, folder: Path) -> Path:
    """The run's model in a folder of its own, with the calibration of a clinic; the path of the model."""
    for name in _FILES:
        if (run / name).exists():
            shutil.copy(run / name, folder / name)
    file = folder / _FILES[0]
    images = CalibrationImages(clinic.splits, "")
    save_calibration(file, calibrate(open_model(str(file)), images, _silent, DecisionSettings()))
    return file


def _silent(stage: str) -> Callable[[int, int], None]:
    return lambda done, all: None


def take(node: Node, image: Path) -> bytes:
    """The page with an image's diagnosis, as a WebP file."""
    with httpx.Client(
        base_url=node.address, verify=node.trusted, headers={"Origin": node.address}
    ) as clinician:
        clinician.post("/sign-in", data={"token": node.tokens[0]})
        made = clinician.post("/v1/diagnoses", files={"image": image.read_bytes()}, timeout=300).json()
        clinician.post(f"/diagnoses/{made['id']}/impression", data={"label": MELANOMA})
        cookies = [(each.name, str(each.value)) for each in clinician.cookies.jar]
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--ignore-certificate-errors"]
        )
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="en")
        context.add_cookies([{"name": name, "value": value, "url": node.address} for name, value in cookies])
        page = context.new_page()
        page.set_default_timeout(300_000)
        page.goto(f"{node.address}/diagnoses/{made['id']}")
        page.locator(".stage[data-state=ready]").first.wait_for()
        page.wait_for_timeout(1000)  # the heatmap comes gradually
        shot = page.screenshot()
        browser.close()
    webp = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").save(webp, "WEBP", quality=85)
    return webp.getvalue()


def main() -> None:
    """Calibrate, serve, draw, and print which image it is."""
    given = arguments_of_a_picture(__doc__)
    configure_backend(1)
    clinic = clinic_of_a_run(given.run, given.clinic)
    melanomas = [record for record in clinic.splits.test if record.label == MELANOMA]
    chosen = melanomas[int(np.random.default_rng(given.seed).integers(len(melanomas)))]
    with tempfile.TemporaryDirectory() as folder:
        model = calibrated_copy(given.run, clinic, Path(folder))
        with running_node(str(model), chosen.path.parent, Path(folder), 1, "clinician") as node:
            given.picture.write_bytes(take(node, chosen.path))
    print(json.dumps({"clinic": clinic.name, "test melanomas": len(melanomas), "image": chosen.image_id}))


if __name__ == "__main__":
    main()
