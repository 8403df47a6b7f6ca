"""Settings files in TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from dermafed.shared.errors import SettingsError


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        SettingsError: it cannot be read, or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        remedy = "Check its permissions"
        raise SettingsError(f"Cannot read: {error.strerror}", where=path, remedy=remedy) from error
    except ValueError as error:
        remedy = "Correct that line"
        raise SettingsError(f"This is not valid TOML: {error}", where=path, remedy=remedy) from error
