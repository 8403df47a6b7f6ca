"""The kinds of bad and odd input, and how each is answered; docs/bad-input.md has a row for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dermafed.client.clinic.intake.clinical import read_clinical
from dermafed.client.clinic.intake.receive import receive
from dermafed.client.clinic.intake.refusals import Refused

TAKEN = "taken"


@dataclass(frozen=True)
class Kind:
    """One row.

    Attributes:
        name: of the test, and of the row.
        what: came in.
        make: makes it.
        enter: what it is given to.
        code: the refusal's, or ``taken``.
        status: HTTP's; 200 where it is taken.
        note: what becomes of it, where it is taken.
    """

    name: str
    what: str
    make: Callable[[], bytes]
    enter: Callable[[bytes], object]
    code: str
    status: int
    note: str = ""

    def outcome(self) -> tuple[int, str, str]:
        """Status, code and message of what comes of it."""
        try:
            self.enter(self.make())
        except Refused as refused:
            return refused.status, refused.code, refused.what
        return 200, TAKEN, self.note


def _receive_dicom(data: bytes) -> object:
    return receive(data, only_dicom=True)


def image(name: str, what: str, make: Callable[[], bytes], code: str, status: int = 422) -> Kind:
    return Kind(name, what, make, receive, code, status)


def taken(name: str, what: str, make: Callable[[], bytes], note: str) -> Kind:
    return Kind(name, what, make, receive, TAKEN, 200, note)


def dicom(name: str, what: str, make: Callable[[], bytes], code: str, status: int = 422) -> Kind:
    return Kind(name, what, make, _receive_dicom, code, status)


def dicom_taken(name: str, what: str, make: Callable[[], bytes], note: str) -> Kind:
    return Kind(name, what, make, _receive_dicom, TAKEN, 200, note)


def metadata(name: str, what: str, text: bytes, code: str, status: int = 400) -> Kind:
    return Kind(name, what, lambda: text, read_clinical, code, status)
