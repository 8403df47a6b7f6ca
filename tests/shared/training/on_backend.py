"""What the backend in use makes of given weights and images; a program, for backends that no test uses."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from dermafed.shared.explain.explainer import Explainer
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.feature_store import FeatureStore
from dermafed.shared.training.predict import predict
from tests.shared.explain.small_networks import METHODS, small_image
from tests.shared.training.tiny import lesions, plain, tiny, tiny_backbones, trainer

WEIGHTS, CLASSIFIER, RESULTS = "weights.npy", "small.keras", "results.npz"

SGD = plain(optimizer="sgd", learning_rate=0.02)
RECIPES = {
    "adamw": plain(learning_rate=1e-3, balance="logits", augment=True),
    "sgd": SGD,
    "views": plain(optimizer="sgd", learning_rate=0.02, augment=True, views=2),
}


def results(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Two rounds of each recipe, validation, FedProx about two anchors, and maps of each method.

    Args:
        folder: has the first weights and the small classifier; features are saved there.
    """
    data, first = lesions(12), np.load(folder / WEIGHTS)
    found = {}
    with tiny_backbones():
        for name, recipe in RECIPES.items():
            store, frozen = FeatureStore(folder / "features"), 2 if recipe.views else 0
            clinic = trainer(tiny(frozen_blocks=frozen), recipe, data, rounds=2, store=store)
            once = clinic.train(first, 1, {})
            twice = clinic.train(once.weights, 2, {})
            found |= {
                name: twice.weights,
                f"{name} loss": np.float32([once.metrics["loss"], twice.metrics["loss"]]),
            }
            found[f"{name} validation"] = predict(clinic.model, twice.weights, data)
        # The second training starts elsewhere: an anchor that was compiled in would draw it back.
        near = trainer(tiny(), SGD, data, rounds=2)
        near.train(first, 1, {"proximal_mu": 5.0})
        found["proximal"] = near.train(found["sgd"], 2, {"proximal_mu": 5.0}).weights
    explainer = Explainer(keras.models.load_model(folder / CLASSIFIER), engine=keras.config.backend())
    for method in METHODS:
        found[method] = explainer.explain(small_image(2), method=method).heatmap
    return found


if __name__ == "__main__":
    configure_backend(1)
    here = Path(sys.argv[1])
    np.savez(here / RESULTS, backend=keras.config.backend(), **results(here))  # type: ignore[arg-type]
