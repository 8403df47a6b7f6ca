"""Which part may import which, and what no file of the project may contain; found by reading the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.paths import ROOT

FORBIDDEN = {
    "shared": {"server", "client", "simulation", "console"},
    "server": {"client", "simulation"},
    "client": {"server", "simulation"},
    "simulation": set[str](),
    "dermafed": set[str](),
}
LINES = 250

# A folder of one machine; the address or the option of a package index.
PLACES = re.compile(
    r"(?<![\w.~}$-])/(?:home|root|work|Users|mnt|media)/\w|/(?:simple|artifactory|nexus)/|index-url"
)


def sources(part: str) -> list[Path]:
    return sorted((ROOT / part).rglob("*.py"))


@cache
def imported(path: Path) -> frozenset[str]:
    """The modules that a file imports anywhere, as dotted names; of ``from a import b`` both a and a.b."""
    return frozenset(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            assert node.module, path
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "dermafed" else ("dermafed", *parts))


def packages() -> dict[str, set[str]]:
    """The packages that each package imports; a package is a folder, without the folders below it."""
    package_of = {
        module_name(path): module_name(path.parent / "__init__.py")
        for part in FORBIDDEN
        for path in sources(part)
    }
    found: dict[str, set[str]] = {package: set() for package in package_of.values()}
    for part in FORBIDDEN:
        for path in sources(part):
            package = package_of[module_name(path)]
            found[package] |= {package_of[name] for name in imported(path) if name in package_of} - {package}
    return found


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_part_imports_only_what_lies_beneath_it(part: str) -> None:
    assert sources(part)
    for path in sources(part):
        parts = {name.split(".")[1] for name in imported(path) if name.startswith("dermafed.")}
        assert not parts & FORBIDDEN[part], path
        assert not {name.split(".")[0] for name in imported(path)} & {"tests", "benchmarks"}, path


def test_no_packages_import_each_other_in_a_circle() -> None:
    TopologicalSorter(packages()).prepare()


def test_the_node_never_imports_what_serves() -> None:
    for path in sources("client/node"):
        assert not [name for name in imported(path) if name.startswith("dermafed.client.clinic")], path


def test_shared_prints_nothing_and_reads_no_command_line() -> None:
    for path in sources("shared"):
        assert not {name.split(".")[0] for name in imported(path)} & {"rich", "typer", "click"}, path


@pytest.mark.parametrize("part", FORBIDDEN)
def test_tensorflow_is_imported_only_where_keras_lacks_a_function(part: str) -> None:
    backends = {
        ROOT / "shared" / name
        for name in (
            *("training/backend.py", "training/tensorflow_layers.py"),
            *("explain/gradient.py", "explain/engine.py"),
        )
    }
    naming = {path for path in sources(part) for name in imported(path) if "tensorflow" in name}
    assert naming <= backends


def test_a_server_needs_no_keras() -> None:
    program = "import sys, dermafed.server.rounds.server_app; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("dermafed.shared.lesions.record", ("numpy", "cv2", "keras", "tensorflow", "flwr", "rich", "typer")),
        ("dermafed.shared.lesions.clinic_split", ("cv2", "keras", "tensorflow", "flwr", "rich", "typer")),
        ("dermafed.shared.model.model_info", ("cv2", "keras", "tensorflow", "flwr", "rich", "typer")),
        # Flower itself imports rich and typer.
        ("dermafed.shared.protocol.messages", ("cv2", "keras", "tensorflow")),
        # What simulates a thousand light clinics, or is one.
        ("dermafed.client.node.client_app", ("cv2", "keras", "tensorflow", "scipy.optimize", "scipy.stats")),
    ],
)
def test_plain_data_loads_no_large_library(module: str, heavy: tuple[str, ...]) -> None:
    program = f"import sys, {module}; sys.exit(' '.join(n for n in {heavy} if n in sys.modules) or 0)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("part", FORBIDDEN)
def test_files_are_short(part: str) -> None:
    for path in sources(part):
        assert len(path.read_text("utf-8").splitlines()) <= LINES, path


def test_no_file_names_a_place_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".webp", ".png", ".xz", ".npz") and path != Path(__file__):
            found = PLACES.search(path.read_text("utf-8"))
            assert not found, f"{name}: {found}"
