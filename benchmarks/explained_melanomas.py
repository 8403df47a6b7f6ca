"""The README's picture: two melanomas, one diagnosed rightly and one wrongly, with outline and evidence.

    python -m benchmarks.explained_melanomas RUN PICTURE.webp [--clinic MSK] [--seed 0]

RUN is the folder of an ``fl-simulate --out`` whose model has a lesion finder. Both melanomas are drawn at
random from the test images of one clinic, whose images may be shown: MSK's are of ISIC 2017 (CC0), and
HAM10000's are not for commercial use. Nothing else decides, so another seed shows other images; the chosen
ones are printed, as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from benchmarks.run_images import arguments_of_a_picture, clinic_of_a_run
from dermafed.shared.errors import DatasetError, ModelError
from dermafed.shared.explain.explainer import Explainer, Explanation
from dermafed.shared.explain.overlay import CAVEAT, USE, blend, colour_words
from dermafed.shared.imaging.decoding import read_image
from dermafed.shared.imaging.resize import resize
from dermafed.shared.lesion_finder.finder_file import load_finder
from dermafed.shared.lesion_finder.images import find_lesions
from dermafed.shared.lesion_finder.outline import LesionOutline
from dermafed.shared.lesions.record import LesionRecord
from dermafed.shared.metrics.decision.lesion_scores import MELANOMA
from dermafed.shared.model.classifier import to_flat
from dermafed.shared.model.model_file import load_model
from dermafed.shared.model.model_info import ModelInfo
from dermafed.shared.model.weights_digest import weights_digest
from dermafed.shared.report.sentences import spaced
from dermafed.shared.training.backend import configure_backend
from dermafed.shared.training.data import load_labelled
from dermafed.shared.training.predict import apply_classifier


@dataclass(frozen=True, eq=False)
class Explained:
    """A melanoma as the picture shows it.

    Attributes:
        record: where its image comes from.
        image: as it was taken, in the network's frame, uint8 (S, S, 3).
        predicted: the most probable class.
        probability: of that class.
        outline: of the lesion.
        explanation: what moved the score of the most probable class.
    """

    record: LesionRecord
    image: NDArray[np.uint8]
    predicted: str
    probability: float
    outline: LesionOutline
    explanation: Explanation


def chosen(right: NDArray[np.bool_], seed: int) -> tuple[int, int]:
    """One of the images that were diagnosed rightly and one of the others, at random.

    Args:
        right: which were, (N,).
        seed: of the draw.

    Raises:
        DatasetError: there is none of either.
    """
    sides = [np.flatnonzero(right), np.flatnonzero(~right)]
    if not all(len(side) for side in sides):
        found = f"Of {len(right)} melanomas {int(right.sum())} are diagnosed rightly"
        raise DatasetError(found, remedy="Choose another clinic")
    rng = np.random.default_rng(seed)
    first, second = (int(rng.choice(side)) for side in sides)
    return first, second


def explained(run: Path, clinic: str, seed: int) -> tuple[list[Explained], dict[str, object]]:
    """The two melanomas, and how they were chosen."""
    path = run / "model.keras"
    classifier, card = load_model(path)
    records = [record for record in clinic_of_a_run(run, clinic).splits.test if record.label == MELANOMA]
    data = load_labelled(records, card.model, card.preprocess)
    predictions = apply_classifier(classifier, data, card.model.views_at_test)
    right = predictions.argmax(1) == data.labels
    pair = chosen(right, seed)
    two = [_explained(classifier, path, records[at], data.images[at], predictions[at], card) for at in pair]
    how = {
        "clinic": clinic,
        "melanomas": len(records),
        "right": int(right.sum()),
        "chosen": [one.record.image_id for one in two],
        "at random": f"seed {seed}",
    }
    return two, how


def _explained(
    classifier: keras.Model,
    path: Path,
    record: LesionRecord,
    pixels: NDArray[np.uint8],
    prediction: NDArray[np.float32],
    card: ModelInfo,
) -> Explained:
    finder = load_finder(path, weights_digest(to_flat(classifier)))
    if finder is None:
        raise ModelError("The model has no lesion finder", where=path, remedy="Run it with --lesion-finder")
    (found,) = find_lesions(classifier, finder, pixels[None])
    best = int(prediction.argmax())
    explanation = Explainer(classifier).explain(pixels, target=best)
    taken = resize(read_image(record.path), len(pixels), card.preprocess.fit)
    name = card.model.classes[best]
    return Explained(record, taken, name, float(prediction[best]), found.outline, explanation)


def picture(two: list[Explained], how: dict[str, object]) -> bytes:
    """Draw for each melanoma the image, the outline and the evidence: a WebP file."""
    drawing = Figure(figsize=(9, 7), layout="constrained", facecolor="white")
    for axes, one in zip(drawing.subplots(2, 3), two, strict=True):
        name = spaced(one.predicted)
        _show(axes[0], one.image, f"A melanoma, diagnosed as\n{name} ({one.probability:.2f})")
        _show(axes[1], one.image, "Where the lesion is" if one.outline.found else "No lesion found")
        if one.outline.found:
            axes[1].contour(one.outline.region, [0.5], colors="white", linewidths=1.5)
        overlay = blend(one.image, one.explanation.heatmap, one.explanation.signed)
        _show(axes[2], overlay, f"What moved the score:\n{name}")
    words = colour_words(two[0].explanation)
    drawing.supxlabel(f"{_how_chosen(how)}\n{words} {CAVEAT}\n{USE}", fontsize=9)
    file, webp = BytesIO(), BytesIO()
    drawing.savefig(file, format="png", dpi=100)
    Image.open(file).convert("RGB").save(webp, "WEBP", quality=80)
    return webp.getvalue()


def _how_chosen(how: dict[str, object]) -> str:
    return (
        f"Chosen at random ({how['at random']}) from {how['melanomas']} test melanomas of one clinic, one of "
        f"the {how['right']} that were diagnosed rightly and one of the others."
    )


def _show(axes: Axes, image: NDArray[np.uint8], title: str) -> None:
    axes.imshow(image, interpolation="bilinear")
    axes.set_title(title, fontsize=10)
    axes.set(xticks=[], yticks=[])


def main() -> None:
    """Choose, draw and print."""
    given = arguments_of_a_picture(__doc__)
    configure_backend(1)
    two, how = explained(given.run, given.clinic, given.seed)
    given.picture.write_bytes(picture(two, how))
    print(json.dumps(how))


if __name__ == "__main__":
    main()
