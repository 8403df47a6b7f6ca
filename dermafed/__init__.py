"""DermaFed from Python: diagnose and explain images with a model, evaluate it, simulate a federation.

::

    import dermafed

    model = dermafed.load_model("run/model.keras")
    diagnosis = model.diagnose("lesion.jpg", age=54, body_site="back")
    diagnosis.probabilities              # {"melanoma": 0.71, "nevus": 0.2, ...}
    model.explain("lesion.jpg").heatmap  # float32 (S, S) in [0, 1]

Research use only; not a medical device. Every error is a :class:`DermaFedError` that says what is wrong,
where, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermafed.shared.errors import DermaFedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dermafed.client.evaluation.evaluate import Evaluation
    from dermafed.model import Image, Model

__all__ = ["DermaFedError", "evaluate", "load_model", "preprocess", "simulate"]


def load_model(path: str | Path) -> Model:
    """Load a saved model, with its calibration if that lies beside it; takes some ten seconds.

    Args:
        path: a ``.keras`` file, with its ``.json`` beside it.

    Raises:
        ModelError: a file is missing or damaged.
    """
    from dermafed.model import open_model

    return open_model(Path(path))


def preprocess(image: Image, **settings: Any) -> NDArray[np.uint8]:
    """Preprocess an image as for training: resize, BM3D, CLAHE on lightness (paper, eq. 2 to 4).

    Args:
        image: a JPEG, PNG or DICOM file, its bytes, or RGB uint8 (H, W, 3).
        settings: fields of :class:`dermafed.shared.imaging.preprocess_settings.PreprocessSettings`, such as
            ``image_size=128`` or ``denoise="none"``.

    Returns:
        RGB uint8 (S, S, 3).

    Raises:
        ImageError, Refused: the image cannot be read.
        SettingsError: a setting is unknown or out of range.
    """
    from dermafed.model import receive_image
    from dermafed.shared.imaging.pipeline import preprocess as run
    from dermafed.shared.imaging.preprocess_settings import PreprocessSettings

    return run(receive_image(image).image, PreprocessSettings.read(settings)).image


def evaluate(
    data: str | Path,
    model: str | Path,
    *,
    classes: str | None = None,
    skip_bad: bool = False,
    image: str | None = None,
    label: str | None = None,
) -> Evaluation:
    """Evaluate a saved model on a labelled data set; see ``fl-client evaluate``.

    Args:
        data: a folder or a manifest.
        model: a ``.keras`` file.
        classes: how labels map to the model's classes; by default as in its training.
        skip_bad: leave unreadable images and bad entries out instead of raising.
        image, label: columns of the manifest that go by other names than the accepted ones.

    Returns:
        Its ``metrics`` with 95 % intervals, and the probabilities of every image.

    Raises:
        DatasetError, ImageError, ModelError, SettingsError: as the name says.
    """
    from dermafed.client.evaluation.evaluate import evaluate as run
    from dermafed.shared.lesions.readers.columns import ColumnNames

    def silent(stage: str) -> Callable[[int, int], None]:
        return lambda done, total: None

    columns = ColumnNames(image, label)
    return run(Path(data), Path(model), classes=classes, skip_bad=skip_bad, stage=silent, columns=columns)


def simulate(out: str | Path, plan: str | Path | None = None, **settings: Any) -> Mapping[str, Any]:
    """Simulate a federation on this machine; minutes to hours. See ``fl-simulate``.

    It starts processes, which import the calling script: call it below ``if __name__ == "__main__":``.

    Args:
        out: a new folder for the results.
        plan: a coordinator's ``PLAN.toml``; without it, the defaults of ``fl-simulate``.
        settings: options of ``fl-simulate`` by name, such as ``data="ham10000"`` or ``rounds=8``; they
            override the plan's.

    Returns:
        The content of ``result.json``.

    Raises:
        SettingsError: a setting is impossible, or the folder is in use.
        DermaFedError: the data cannot be used, or the run failed.
    """
    from dermafed.simulation.runs.from_plan import plan_values
    from dermafed.simulation.runs.options import new_run
    from dermafed.simulation.runs.run import Watcher
    from dermafed.simulation.studies.fairness import simulate_with_groups

    values = ({} if plan is None else plan_values(Path(plan))) | settings
    chosen, folder, threads = new_run(Path(out), values)
    return simulate_with_groups(
        chosen, folder, threads=threads, command="dermafed.simulate", watcher=Watcher()
    )
