"""``fl-client diagnose`` and ``calibrate``: diagnose image files without a server; calibrate a model."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermafed.client.commands.options import (
    HERE,
    AsJson,
    AsJsonLines,
    Folder,
    ImageColumn,
    LabelColumn,
    open_home,
    plain,
    print_json,
    stages,
)
from dermafed.console import progress_bar, stderr
from dermafed.shared.errors import SettingsError

if TYPE_CHECKING:
    from dermafed.client.clinic.diagnosis.diagnose_files import Line


def diagnose(
    paths: Annotated[list[Path], typer.Argument(show_default=False)],
    model: Annotated[
        str,
        typer.Option(
            help="A model file (.keras), or with --dir a saved model: NAME or last.", show_default=False
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="The clinic's folder, for its saved models.", show_default=False),
    ] = None,
    as_json: AsJsonLines = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV with a column for each class's probability.")
    ] = False,
) -> None:
    """Diagnose image files as fl-client serve would, to the last bit.

    PATHS are images (JPEG, PNG, DICOM) or folders of them. A file that cannot be used gets a line with the
    error and does not stop the rest; the exit code is then 1. Nothing is recorded: an id is the start of the
    image's SHA-256, so it belongs to the file. Research use only; not a medical device.

    **Examples**

    The images of a folder, for the reader:

        fl-client diagnose our_images --model dermafed-run/model.keras

    With the last model that the clinic's node took home, as a table:

        fl-client diagnose a.jpg b.dcm --model last --dir clinic --csv > diagnoses.csv
    """
    if as_json and as_csv:
        raise typer.BadParameter("Choose one of --json and --csv")
    from dermafed.client.clinic.diagnosis.diagnose_files import diagnose_files, find_files, open_diagnoser

    files = find_files(paths)
    diagnoser, calibration = open_diagnoser(model, None if folder is None else open_home(folder))
    write = _writer(diagnoser.classes, as_json, as_csv)
    failed = 0
    with _progress() as progress:
        for done, line in enumerate(diagnose_files(files, diagnoser, calibration), 1):
            write(line)
            failed += "error" in line
            progress(done, len(files))
    if failed:
        stderr().print(f"{failed} of {len(files)} images could not be used.")
        raise typer.Exit(1)


def _writer(classes: Sequence[str], as_json: bool, as_csv: bool) -> Callable[[Line], None]:
    """What prints a line on stdout, at once."""
    from dermafed.client.clinic.diagnosis.diagnose_files import csv_header, csv_row, describe

    out = sys.stdout  # fetched now: a running progress bar replaces it
    table = csv.writer(out, lineterminator="\n")
    if as_csv:
        table.writerow(csv_header(classes))

    def write(line: Line) -> None:
        if as_csv:
            table.writerow(csv_row(line, classes))
        else:
            text = json.dumps(line, allow_nan=False, ensure_ascii=False) if as_json else plain(describe(line))
            out.write(f"{text}\n")
        out.flush()

    return write


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr; none where the lines themselves show the progress on the same screen."""
    if sys.stdout.isatty():
        yield lambda done, total: None
    else:
        with progress_bar("Diagnosing images") as report:
            yield report


def calibrate(
    model: Annotated[
        str,
        typer.Option(
            help="A model file (.keras), its .json beside it; or a model of fl-client models, or last.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Labelled images.  [default: those of clinic.toml]", show_default=False),
    ] = None,
    image: ImageColumn = None,
    label: LabelColumn = None,
    folder: Folder = HERE,
    as_json: AsJson = False,
) -> None:
    """Calibrate a model on the clinic's own labelled images.

    Writes MODEL.trust.json beside the model: a temperature for its probabilities, the threshold below which
    an answer is unsure, the threshold of the alert for melanoma ([decision] in clinic.toml), and
    (MODEL.trust.npz, which stays here) the out-of-distribution rule. All are fitted to validation images, the
    last one to training images too; test images are not used.
    Research use only; not a medical device.

    **Examples**

    The model that the node took home last, on the clinic's validation images of that run:

        fl-client calibrate --model last

    A model file, on other labelled images, as JSON:

        fl-client calibrate --model model.keras --data our_images --json
    """
    from dermafed.client.clinic.diagnosis.opened_model import open_model
    from dermafed.client.evaluation.calibrate import calibrate as fit
    from dermafed.client.evaluation.calibrate import clinic_decision, given_images, own_images
    from dermafed.client.node.home import Home
    from dermafed.shared.lesions.readers.columns import ColumnNames
    from dermafed.shared.metrics.calibration.calibration_file import (
        calibration_files,
        calibration_metrics,
        save_calibration,
    )

    # A model file with data of its own needs no clinic's folder.
    opened = open_model(model, None if model.endswith(".keras") else open_home(folder))
    if data is None and (image or label):
        raise SettingsError(
            "--image and --label belong to --data", remedy="Name the columns of your own data in clinic.toml"
        )
    images = (
        own_images(opened, open_home(folder))
        if data is None
        else given_images(opened, data, ColumnNames(image, label))
    )
    with stages() as stage:
        calibration = fit(opened, images, stage, clinic_decision(Home(folder)))
    save_calibration(opened.file, calibration)
    files = [str(path) for path in calibration_files(opened.file) if path.exists()]
    if as_json:
        metrics = calibration_metrics(calibration)
        print_json({"model": opened.used.name, **metrics, "notes": [images.note], "files": files})
        return
    from dermafed.client.evaluation.result_tables import print_calibration

    print_calibration(opened.used.name, calibration, [images.note], files)
