"""The table of docs/bad-input.md: ``python -m tests.client.clinic.intake.bad_input_table`` writes it anew."""

from __future__ import annotations

from tests.client.clinic.intake.dicom_kinds import DICOM_KINDS
from tests.client.clinic.intake.image_kinds import IMAGE_KINDS
from tests.client.clinic.intake.kinds import Kind
from tests.client.clinic.intake.metadata_kinds import METADATA_KINDS
from tests.paths import ROOT

KINDS = IMAGE_KINDS + DICOM_KINDS + METADATA_KINDS
PAGE = ROOT / "docs" / "bad-input.md"
BEGIN, END = "<!-- from the tests -->\n", "<!-- end -->\n"


def row(kind: Kind) -> str:
    """A line of the table."""
    status, code, message = kind.outcome()
    return f"| {kind.what} | {status} | `{code}` | {message} | `{kind.name}` |\n"


def write() -> None:
    """Puts the rows between the page's marks."""
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    head = "| What comes | Status | Code | Message, or what becomes of it | Test |\n|---|---|---|---|---|\n"
    PAGE.write_text(before + BEGIN + head + "".join(map(row, KINDS)) + END + after, "utf-8")


if __name__ == "__main__":
    write()
