"""The table of docs/bad-input.md, from the tests: ``python -m tests.intake.table`` writes it anew."""

from __future__ import annotations

from pathlib import Path

from tests.intake.dicom_kinds import DICOM_KINDS
from tests.intake.image_kinds import IMAGE_KINDS
from tests.intake.kinds import Kind
from tests.intake.metadata_kinds import METADATA_KINDS

KINDS = IMAGE_KINDS + DICOM_KINDS + METADATA_KINDS
PAGE = Path(__file__).resolve().parents[2] / "docs" / "bad-input.md"
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
