"""The versions of the packages that server and clinics must have in common."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

_PACKAGES = {
    "dermafed": ("dermafed",),
    "flwr": ("flwr",),
    "keras": ("keras",),
    "tensorflow": ("tensorflow-cpu", "tensorflow"),
    "numpy": ("numpy",),
}


def installed_versions() -> dict[str, str]:
    """Version of each package that is installed, by name."""
    found = {name: _first(names) for name, names in _PACKAGES.items()}
    return {name: text for name, text in found.items() if text is not None}


def _first(names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
