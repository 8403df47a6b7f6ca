"""``fl-client similar``: the nearest confirmed cases of this clinic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermafed.client.commands.options import HERE, AsJson, Folder, open_home, print_json, print_lines, stages
from dermafed.console import stderr

if TYPE_CHECKING:
    from dermafed.client.clinic.similar.nearest import Neighbour


def similar(
    image: Annotated[Path, typer.Argument(show_default=False)],
    model: Annotated[
        str,
        typer.Option(
            help="A model file (.keras); or a model of fl-client models, or last.", show_default=False
        ),
    ],
    folder: Folder = HERE,
    out: Annotated[
        Path | None,
        typer.Option(help="Draw the image beside its similar cases: a PNG file.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the confirmed cases of this clinic that are most alike to an image, with their diagnoses.

    IMAGE is a JPEG, a PNG or a DICOM file. Cases are the labelled images of clinic.toml and the diagnoses
    that fl-client review accepted; of a lesion, one image is shown. The first call with a model prepares all
    of them (DIR/similar.npz), later ones only what is new. Nothing leaves this machine.
    Not a vote, no diagnosis. Research use only; not a medical device.

    **Examples**

    By the last model that the clinic's node took home, with a picture:

        fl-client similar a.jpg --model last --out similar.png

    As JSON:

        fl-client similar a.dcm --model dermafed-run/model.keras --dir graz --json
    """
    home = open_home(folder)
    from dermafed.client.clinic.diagnosis.opened_model import open_model
    from dermafed.client.clinic.intake.receive import receive
    from dermafed.client.clinic.similar.confirmed_cases import update_index
    from dermafed.client.clinic.similar.similar_cases import NOTE, SimilarCases
    from dermafed.shared.imaging.decoding import read_bytes
    from dermafed.shared.imaging.pipeline import preprocess
    from dermafed.shared.process import cores
    from dermafed.shared.training.backend import configure_backend

    received = receive(read_bytes(image))
    configure_backend(1)
    opened = open_model(model, home)
    with stages() as stage:
        index = update_index(home, opened, stage)
    prepared = preprocess(received.image, opened.card.preprocess, cores()).image
    cases = SimilarCases(opened, home.similar)
    found = cases.find(prepared, received.clinical, [received.sha256]) or []
    if out is not None and found:
        _draw(out, received.image, image.name, found)
    if as_json:
        print_json(_as_dict(image, opened.used.name, len(index.cases), found))
        return
    print_lines(*(_line(rank, each) for rank, each in enumerate(found, 1)))
    said = NOTE if found else "None: no other case of this clinic has one of the model's diagnoses."
    stderr().print(f"{said} Cases: {len(index.cases)}.", soft_wrap=True, markup=False)


def _draw(out: Path, image: Any, name: str, found: list[Neighbour]) -> None:
    from dermafed.client.clinic.similar.contact_sheet import contact_sheet
    from dermafed.shared.imaging.decoding import decode_image, read_bytes
    from dermafed.shared.storage.atomic_files import write_private

    pictures = [(each, decode_image(read_bytes(Path(each.case.path)), where=each.case.id)) for each in found]
    write_private(out, contact_sheet(image, name, pictures))


def _line(rank: int, each: Neighbour) -> str:
    how = f", confirmed by {each.case.confirmed_by}" if each.case.confirmed_by else ""
    return f"{rank}. {each.case.diagnosis}{how}: {each.case.id} (distance {each.distance:.2f})"


def _as_dict(image: Path, model: str, cases: int, found: list[Neighbour]) -> dict[str, Any]:
    from dermafed.client.clinic.similar.similar_cases import NOTE

    return {
        "image": str(image),
        "model": model,
        "cases": cases,
        "note": NOTE,
        "similar": [each.to_dict() for each in found],
    }
