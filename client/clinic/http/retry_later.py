"""A refusal that ends by waiting."""

from __future__ import annotations

from dermafed.client.clinic.intake.refused import Refused


class Later(Refused):
    """Too much at a time.

    Attributes:
        seconds: to wait, for the header ``Retry-After``.
    """

    def __init__(self, code: str, status: int, what: str, seconds: int) -> None:
        super().__init__(code, status, what, remedy=f"Wait {seconds} s, and ask again")
        self.seconds = seconds
