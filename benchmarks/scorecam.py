"""Score-CAM's speed and memory beside two libraries', in one run, each in a process of its own.

    python -m benchmarks.scorecam MODEL IMAGES [--images 2] [--many 40] [--json]

MODEL is a saved model (``.keras``), IMAGES a folder of photographs. The libraries, pytorch-grad-cam (on
torchvision's EfficientNetB0 with random weights: the same work) and tf-keras-vis (on the model itself), are
measured where they are installed: ``pip install grad-cam torchvision tf-keras-vis``. The first map of each
is not timed.
"""

# Keras and TensorFlow are imported where they are used: in one process with PyTorch, their LLVMs clash.

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

Images = NDArray[np.uint8]
Heatmap = NDArray[np.float32]
Explain = Callable[[NDArray[np.uint8]], Heatmap]

SIDES = (96, 128, 160, 224)
LAYERS = ("block5c_add", "block6d_add", "block7a_project_bn", "top_activation")  # 112 to 1,280 channels


def ours(model: Path, method: str = "scorecam", engine: str | None = None) -> Explain:
    from dermafed.shared.explain.explainer import Explainer
    from dermafed.shared.model.model_file import load_model

    explainer = Explainer(load_model(model)[0], engine=engine)
    return lambda image: explainer.explain(image, method=method).heatmap


def pytorch_grad_cam(model: Path) -> Explain:
    import torch
    from pytorch_grad_cam import ScoreCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    from torchvision.models import efficientnet_b0

    classes = len(json.loads(model.with_suffix(".json").read_text())["classes"])
    network = efficientnet_b0(num_classes=classes).eval()
    cam = ScoreCAM(network, [network.features[-1]])

    def explain(image: NDArray[np.uint8]) -> Heatmap:
        tensor = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32) / 255)
        return np.asarray(cam(tensor, [ClassifierOutputTarget(0)])[0], np.float32)

    return explain


def tf_keras_vis(model: Path) -> Explain:
    from tf_keras_vis.scorecam import Scorecam
    from tf_keras_vis.utils.scores import CategoricalScore

    from dermafed.shared.model.model_file import load_model

    classifier = load_model(model)[0]
    cam = Scorecam(classifier)

    def explain(image: NDArray[np.uint8]) -> Heatmap:
        pixels = image[None].astype(np.float32)
        target = int(classifier.predict_on_batch(pixels).argmax())
        return np.asarray(cam(CategoricalScore([target]), pixels, penultimate_layer="top_activation")[0])

    return explain


CASES: dict[str, tuple[str | None, Callable[[Path], Explain]]] = {
    "fast": (None, ours),
    "exact": (None, partial(ours, method="scorecam-exact")),
    "exact, TensorFlow": (None, partial(ours, method="scorecam-exact", engine="tensorflow")),
    "pytorch-grad-cam": ("pytorch_grad_cam", pytorch_grad_cam),
    "tf-keras-vis": ("tf_keras_vis", tf_keras_vis),
}


def timed(name: str, model: Path, images: Images) -> dict[str, Any]:
    """One case: seconds of each image, its maps, and the process' peak memory in MB."""
    seconds, maps = [], []
    with redirect_stdout(sys.stderr):  # tf-keras-vis draws its progress
        explain = CASES[name][1](model)
        explain(images[0])
        for image in images:
            start = time.perf_counter()
            maps.append(explain(image))
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"seconds": seconds, "maps": maps, "peak_mb": peak}


def alone(name: str, model: Path, images: Images) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(timed, name, model, images).result()


def compare(model: Path, few: Images, many: Images) -> list[dict[str, Any]]:
    """A row a case; agreement is the mean r with our exact map."""
    from dermafed.shared.explain.maps import map_agreement

    there = [name for name, (package, _) in CASES.items() if package is None or find_spec(package)]
    found = {name: alone(name, model, many if name == "fast" else few) for name in there}
    exact = float(np.mean(found["exact"]["seconds"]))
    rows = []
    for name, case in found.items():
        pairs = zip(case["maps"], found["exact"]["maps"], strict=False)
        comparable = name != "pytorch-grad-cam"  # its network has other weights
        rows.append(
            {
                "way": name,
                "images": len(case["seconds"]),
                "seconds": float(np.mean(case["seconds"])),
                "p95": float(np.quantile(case["seconds"], 0.95)),
                "times_exact": float(np.mean(case["seconds"])) / exact,
                "peak_mb": case["peak_mb"],
                "agreement": float(np.mean([map_agreement(*pair) for pair in pairs])) if comparable else None,
            }
        )
    return rows


def scaling(model: Path, image: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Seconds of one image by its size, and by the channels of the layer explained by."""
    from dermafed.shared.explain.explainer import Explainer
    from dermafed.shared.imaging.resize import resize
    from dermafed.shared.model.classifier import build_classifier, set_flat, to_flat
    from dermafed.shared.model.model_file import load_model

    classifier, card = load_model(model)
    rows = []
    for side in SIDES:
        resized = build_classifier(replace(card.model, image_size=side))
        set_flat(resized, to_flat(classifier))
        rows.append(
            {"side": side, "layer": LAYERS[-1], **both(Explainer(resized), resize(image, side, "crop"))}
        )
    for layer in LAYERS[:-1]:
        explainer = Explainer(classifier, layer=layer)
        rows.append({"side": image.shape[0], "layer": layer, **both(explainer, image)})
    return rows


def both(explainer: Any, image: NDArray[np.uint8]) -> dict[str, Any]:
    explainer.explain(image)
    fast, exact = (explainer.explain(image, method=name) for name in ("scorecam", "scorecam-exact"))
    return {"channels": exact.passes, "fast_seconds": fast.seconds, "exact_seconds": exact.seconds}


def load(model: Path, folder: Path, count: int) -> Images:
    from dermafed.shared.imaging.cache import PreprocessCache, default_cache_folder
    from dermafed.shared.lesions.readers.image_files import find_images
    from dermafed.shared.model.model_file import load_model

    paths = sorted(find_images(folder).images.values())
    chosen = paths[:: max(1, len(paths) // count)][:count]
    card = load_model(model)[1]
    return np.asarray(PreprocessCache(default_cache_folder()).load(chosen, card.preprocess).images)


def show(title: str, rows: list[dict[str, Any]]) -> None:
    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=2, help="for the slow ways")
    parser.add_argument("--many", type=int, default=40, help="for the fast way")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    many = load(given.model, given.folder, given.many)
    parts = {
        "comparison": lambda: compare(given.model, many[: given.images], many),
        "scaling": lambda: scaling(given.model, many[0]),
    }
    if given.json:
        print(json.dumps({title: measure() for title, measure in parts.items()}, indent=2))
        return
    for title, measure in parts.items():
        show(title, measure())


if __name__ == "__main__":
    main()
