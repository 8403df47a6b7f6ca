"""Other software to compare with: its own environments, and processes that measure when they are asked.

An environment is made by the benchmark itself, once, by pip from the user's own package index, in the
folder ``peers`` of the cache. It sees the packages of this environment behind its own ones, so that both
sides use the same NumPy, TensorFlow and Flower, and nothing is downloaded twice.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.measuring import Figures, Way
from dermafed.shared.errors import DermaFedError
from dermafed.shared.imaging.cache import default_cache_folder

ROOT = Path(__file__).resolve().parent.parent
TORCH = ("torch", ("torch", "torchvision", "timm", "grad-cam"))
"""PyTorch and what is built upon it; several gigabytes, since the package index has it with CUDA."""

TF_KERAS_VIS = ("tf-keras-vis", ("tf-keras-vis",))
RAY = ("ray", ("flwr[simulation]==1.41.*",))
NVFLARE = ("nvflare", ("nvflare==2.9.*",))
VAPOURSYNTH = ("vapoursynth", ("vapoursynth-bm3d==12.*", "numpy>=2,<3", "opencv-python-headless>=4.10,<6"))
VAPOURSYNTH_PYTHONS = ("3.12", "3.13")
"""Its wheels are for these and newer ones."""

_MADE = "requirements.txt"


class PeerMissing(DermaFedError):
    """A peer cannot be had here, or does not work."""


def environment(
    name: str, requirements: Sequence[str], folder: Path | None = None, pythons: Sequence[str] = ()
) -> Path:
    """The Python of a peer's environment, which is made if it is not there with these requirements.

    Args:
        name: of the environment.
        requirements: what pip installs into it.
        folder: of all environments; by default in the cache.
        pythons: the versions that it needs, where ours may be too old; another one sees nothing of ours.

    Raises:
        PeerMissing: it cannot be installed.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = sys.executable
    if pythons and version not in pythons:
        version, interpreter = _python_of(name, pythons)
    tag = f"python{version}"
    home = (folder or default_cache_folder() / "peers") / f"{name}-{tag}"
    python, made, asked = home / "bin" / "python", home / _MADE, "\n".join(requirements)
    if not python.exists():  # what an interrupted installation has left is used
        _call(name, interpreter, "-m", "venv", str(home))
    if interpreter == sys.executable:
        _show_ours(python)  # of this checkout: another one may have made it
    if made.exists() and made.read_text("utf-8") == asked:
        return python
    # Not compiled: of gigabytes of modules only few are ever imported.
    _call(name, str(python), "-m", "pip", "install", "--quiet", "--no-compile", *requirements)
    made.write_text(asked, "utf-8")
    return python


def _python_of(name: str, versions: Sequence[str]) -> tuple[str, str]:
    """The first of these Pythons that runs here: its version and its path."""
    for version in versions:
        found = shutil.which(f"python{version}")
        if found and not subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
            return version, found
    raise PeerMissing(f"{name} needs Python {' or '.join(versions)}, and there is none on the PATH")


def _show_ours(python: Path) -> None:
    """Let an environment see ours, its own packages first."""
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    (packages / "ours.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n", "utf-8"
    )


def _call(name: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerMissing(f"{name} cannot be installed: {_last_line(done.stderr)}")


def _last_line(text: str) -> str:
    return (text.strip() or "no reason given").splitlines()[-1]


@contextmanager
def worker(name: str, *arguments: object, python: Path | str = sys.executable) -> Iterator[Way]:
    """A process that runs ``benchmarks.workers.NAME``, prepared, and the way that lets it measure once.

    Raises:
        PeerMissing: it ended; with the last line that it wrote to its standard error.
    """
    command = [str(python), "-m", f"benchmarks.workers.{name}", *map(str, arguments)]
    pipe = subprocess.PIPE
    with TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True, cwd=ROOT)
        assert process.stdin
        assert process.stdout
        asked, answers = process.stdin, process.stdout

        def answered() -> Figures:
            text = answers.readline()
            if not text:
                process.wait()
                log.seek(0)
                raise PeerMissing(f"{name} ended: {_last_line(log.read())}")
            found: dict[str, float] = json.loads(text)
            return found

        def measure() -> Figures:
            asked.write("\n")
            asked.flush()
            return answered()

        try:
            answered()
            yield measure
        finally:
            process.kill()
            process.communicate()
