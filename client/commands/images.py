"""``fl-client evaluate``, ``audit-model``, ``explain`` and ``convert``: a clinic's own images and a model."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dermafed.client.commands.options import (
    AsJson,
    AsJsonLines,
    ImageColumn,
    LabelColumn,
    print_json,
    stages,
)
from dermafed.console import stderr
from dermafed.shared.errors import SettingsError

ModelFile = Annotated[
    Path, typer.Option(help="A run's model file (.keras), its .json beside it.", show_default=False)
]
Classes = Annotated[
    str | None,
    typer.Option(
        help="How labels map to the model's classes: paper, all, or new=a+b,...  "
        "[default: as in training, else by diagnosis]",
        show_default=False,
    ),
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave unreadable images and bad entries out, and count them.")
]
# Arguments are described in each command's text: with click 8.5, typer loses their help.
Data = Annotated[Path, typer.Argument(show_default=False)]


def evaluate(
    data: Data,
    model: ModelFile,
    classes: Classes = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder for metrics.json and the predictions.  [default: evaluation-DATA]",
            show_default=False,
        ),
    ] = None,
    skip_bad: SkipBad = False,
    image: ImageColumn = None,
    label: LabelColumn = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the metrics as JSON, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Evaluate a saved model on labelled images, with 95 % intervals.

    DATA is a folder with a CSV manifest, a folder per class, COCO or LabelMe; or a manifest.
    Research use only; not a medical device.

    **Examples**

    The model of a run, on a clinic's own images in a folder per class:

        fl-client evaluate our_images --model dermafed-run/model.keras

    Labels of the clinic's own, as JSON:

        fl-client evaluate ours.csv --model model.keras --classes "melanoma=MM,nevus=NZN+dys" --json
    """
    folder = _free_folder(out) if out else _new_folder(f"evaluation-{data.resolve().stem}")
    # Imported only now, so that --help and wrong usage are answered at once.
    from dermafed.client.evaluation.evaluate import evaluate as evaluate_model
    from dermafed.client.evaluation.evaluate import write_evaluation
    from dermafed.client.evaluation.result_tables import print_evaluation
    from dermafed.shared.lesions.readers.columns import ColumnNames

    with stages() as stage:
        columns = ColumnNames(image, label)
        evaluation = evaluate_model(
            data, model, classes=classes, skip_bad=skip_bad, stage=stage, columns=columns
        )
    summary = write_evaluation(folder, evaluation)
    if as_json:
        sys.stdout.write(json.dumps(summary, allow_nan=False) + "\n")
    else:
        print_evaluation(evaluation, folder)


def audit_model(
    data: Data,
    model: ModelFile,
    classes: Classes = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder for audit.json and the contact sheet.  [default: audit-DATA]",
            show_default=False,
        ),
    ] = None,
    skip_bad: SkipBad = False,
    image: ImageColumn = None,
    label: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Audit a saved model for shortcuts: what ink, a ruler or hair do to its answers.

    DATA is as for evaluate. Drawn beside each lesion (its mask, else a central disc) are ink marks, a ruler
    and a colour patch; on the whole image hair, a vignette and another white balance. Then the lesion is
    erased. Use images that the model was not trained on. Research use only; not a medical device.

    **Examples**

    The model of a run, on a clinic's own images:

        fl-client audit-model our_images --model dermafed-run/model.keras

    As JSON:

        fl-client audit-model our_images --model model.keras --json
    """
    folder = _free_folder(out) if out else _new_folder(f"audit-{data.resolve().stem}")
    from dermafed.client.evaluation.audit_files import write_audit
    from dermafed.client.evaluation.audit_model import audit_model
    from dermafed.client.evaluation.audit_table import print_audit
    from dermafed.shared.lesions.readers.columns import ColumnNames

    with stages() as stage:
        columns = ColumnNames(image, label)
        audit = audit_model(data, model, classes=classes, skip_bad=skip_bad, stage=stage, columns=columns)
    summary = write_audit(folder, audit)
    if as_json:
        print_json(summary)
    else:
        print_audit(audit, folder)


def explain(
    images: Annotated[list[Path], typer.Argument(show_default=False)],
    model: ModelFile,
    method: Annotated[
        str | None,
        typer.Option(
            help="evidence, scorecam, gradcam, gradcam++, gradient-weighted or cam.  [default: by the model]",
            show_default=False,
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Score-CAM with a pass for every channel: 15 times slower.")
    ] = False,
    target: Annotated[
        str | None,
        typer.Option(
            "--class", help="The class to explain.  [default: the predicted one]", show_default=False
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="With --class: explain why that class rather than this.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for overlays and maps.  [default: explanations]", show_default=False),
    ] = None,
    as_json: AsJsonLines = False,
) -> None:
    """Explain predictions: which parts of an image moved the score.

    IMAGES are image files or folders of them. For each, the output folder gets the overlay (.png), the map
    (.npy, float32 in 0-1, of signed evidence in -1 to 1) and a line in explanations.jsonl. A map does not
    outline the lesion. Research use only; not a medical device.

    **Examples**

    The predicted class of each image in a folder:

        fl-client explain our_images --model dermafed-run/model.keras

    Why melanoma rather than nevus, as JSON:

        fl-client explain a.jpg b.jpg --model model.keras --class melanoma --against nevus --json
    """
    folder = _free_folder(out) if out else _new_folder("explanations")
    from dermafed.client.evaluation.explain_images import Question, describe
    from dermafed.client.evaluation.explain_images import explain as explain_images

    with stages() as stage:
        question = Question(method, exact, target, against)
        lines = explain_images(images, model, question, folder, stage)
    for line in lines:
        text = json.dumps(line, allow_nan=False, ensure_ascii=False) if as_json else describe(line)
        sys.stdout.write(f"{text}\n")
    if not as_json:
        stderr().print(f"Overlays, maps and explanations.jsonl: {folder}", soft_wrap=True, markup=False)


def convert(
    labelme: Annotated[Path, typer.Argument(show_default=False)],
    out: Annotated[Path, typer.Argument(show_default=False)],
) -> None:
    """Convert LabelMe annotations to one COCO file.

    LABELME is the folder with the JSON files, at any depth; OUT is the COCO file to write.

    **Examples**

    Into the same folder, which fl-simulate and fl-client then read as COCO; or elsewhere:

        fl-client convert our_images our_images/coco.json

        fl-client convert export/2024 coco/lesions.json
    """
    from dermafed.shared.lesions.readers.labelme import labelme_to_coco

    labelme_to_coco(labelme, out)
    stderr().print(f"Written: {out}", soft_wrap=True, markup=False)


def _new_folder(name: str) -> Path:
    """The first of NAME, NAME-2, NAME-3, ... in the current folder that does not exist."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return _free_folder(next(path for path in map(Path, names) if not path.exists()))


def _free_folder(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(
            "The output folder is in use", where=folder, remedy="Choose another --out, or remove it"
        )
    parent = next(parent for parent in folder.resolve().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise SettingsError(
            "The output folder cannot be made", where=folder, remedy="Choose an --out in a folder of yours"
        )
    return folder
