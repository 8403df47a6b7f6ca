"""Clinical metadata M_i of an image (paper, section 3.1): what a device may tell, and nothing that names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Clinical:
    """What is known of the person, without who it is.

    Attributes:
        age: whole years, 0 to 120, or ``None``.
        sex: ``"female"``, ``"male"`` or ``None``.
        site: body site in the sender's words, or ``None``.
    """

    age: int | None = None
    sex: str | None = None
    site: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)
