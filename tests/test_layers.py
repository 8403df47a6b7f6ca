"""Who may import whom, and what no file of the project may hold; found by reading the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FORBIDDEN = {
    "shared": {"server", "client", "simulation"},
    "server": {"client", "simulation"},
    "client": {"server", "simulation"},
    "simulation": set[str](),
}
LINES = 250

# A folder of one machine; the address or the option of a package index.
PLACES = re.compile(
    r"(?<![\w.~}$-])/(?:home|root|work|Users|mnt|media)/\w|/(?:simple|artifactory|nexus)/|index-url"
)


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_part_imports_only_what_lies_beneath_it(package: str) -> None:
    assert sources(package)
    for path in sources(package):
        parts = {module.split(".")[0] for module in imported(path)}
        assert not parts & (FORBIDDEN[package] | {"tests", "benchmarks"}), path


@pytest.mark.parametrize("package", FORBIDDEN)
def test_tensorflow_is_named_where_keras_has_no_word_for_it(package: str) -> None:
    backends = {ROOT / "shared" / "training" / "backend.py", ROOT / "shared" / "explain" / "gradients.py"}
    naming = {path for path in sources(package) for module in imported(path) if "tensorflow" in module}
    assert naming <= backends


def test_a_server_needs_no_keras() -> None:
    program = "import sys, server.app; sys.exit('keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("package", FORBIDDEN)
def test_files_are_short(package: str) -> None:
    for path in sources(package):
        assert len(path.read_text("utf-8").splitlines()) <= LINES, path


def test_no_file_names_a_place_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file() and path.suffix not in (".webp", ".png") and path != Path(__file__):
            found = PLACES.search(path.read_text("utf-8"))
            assert not found, f"{name}: {found}"
