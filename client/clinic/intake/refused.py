"""What is not taken in, and why: one answer for every way in."""

from __future__ import annotations

from dermafed.shared.errors import InputError

BURNED_IN = "burned-in"
"""The code of what waits in quarantine for a person: it may show a name."""


class Refused(InputError):
    """A request that gets no diagnosis.

    Attributes:
        code: for machines, one word for one reason: ``docs/bad-input.md`` lists them.
        status: the HTTP status that says it.
    """

    def __init__(self, code: str, status: int, what: str, *, where: object = "", remedy: str = "") -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.code, self.status = code, status

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.code, self.status, self.what, self.where, self.remedy))

    def to_dict(self) -> dict[str, str]:
        """As JSON types: what every way in answers."""
        return {"code": self.code, "error": self.what, "remedy": self.remedy}


def _rebuild(code: str, status: int, what: str, where: str, remedy: str) -> Refused:
    return Refused(code, status, what, where=where, remedy=remedy)
