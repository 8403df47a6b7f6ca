"""What is bad in a data set: raised at once, or collected and counted where bad entries are left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dermafed.shared.errors import DatasetError


@dataclass(slots=True)
class Faults:
    """The bad entries of a data set.

    Attributes:
        skip: collect them instead of raising.
        found: of each bad entry, what is wrong and where.
        images: those that entries name, also bad ones: they are not without an entry.
    """

    skip: bool
    found: list[str] = field(default_factory=list)
    images: set[str] = field(default_factory=set)

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """What is read within is left out where that fails.

        Raises:
            DatasetError: it fails, and bad entries are not left out.
        """
        try:
            yield
        except DatasetError as error:
            self.add(error)

    def add(self, error: DatasetError) -> None:
        """Note an entry that is bad, or raise."""
        if not self.skip:
            raise error
        self.found.append(f"{error.what} ({error.where})")

    def notes(self) -> list[str]:
        """How many entries were left out, with examples; empty if none was."""
        if not self.found:
            return []
        examples = "; ".join(self.found[:3]) + ("; ..." if len(self.found) > 3 else "")
        return [f"{len(self.found)} left out, bad entry: {examples}"]
