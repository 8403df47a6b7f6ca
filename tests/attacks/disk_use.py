"""How many bytes a process has on the disk, with those of files that it has unlinked."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from dermafed.server.coordinator.server_process import OBJECTS

_PAUSE = 0.02


class DiskUse:
    """Looks often, while the context lasts.

    Attributes:
        peaks: the most bytes of each file, by name; those of messages under way together, by their folder's;
            those that were unlinked together.
    """

    def __init__(self, folder: Path, process: int) -> None:
        self._folder, self._descriptors = folder, Path(f"/proc/{process}/fd")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peaks: dict[str, int] = {}

    def __enter__(self) -> DiskUse:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE):
            sizes = self._sizes()
            self.peaks |= {name: max(size, self.peaks.get(name, 0)) for name, size in sizes.items()}

    def _sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for path in self._folder.rglob("*"):
            name = OBJECTS if path.parent.name == OBJECTS else path.name
            with suppress(OSError):
                size = path.stat().st_size if path.is_file() else 0
                sizes[name] = size + (sizes.get(name, 0) if name == OBJECTS else 0)
        for path in self._descriptors.iterdir():
            with suppress(OSError):
                found = path.stat()
                if not found.st_nlink and str(self._folder) in str(path.readlink()):
                    sizes["unlinked"] = sizes.get("unlinked", 0) + found.st_size
        return sizes
