"""Makes the documents say what the studies and the benchmarks found.

    python -m dermafed.simulation.studies.publish [--check] [STUDY_FOLDER | BENCHMARK.json]...

A finished study's figures are kept in ``docs/results/STUDY.json``, and its drawings in ``docs/images``; so is
what a benchmark printed with ``--json``, in the file's name. Then all marked figures of ``README.md`` and
``docs/*.md`` are written from ``docs/results`` (see :mod:`marks`). ``--check`` only tells
which documents say something else.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from dermafed.shared.errors import DermaFedError, SettingsError
from dermafed.shared.storage.atomic_files import make_folder, write_atomically
from dermafed.simulation.studies.command import STUDY_FILE
from dermafed.simulation.studies.marks import renew

_PATH = re.compile(r"(?<![\w.])/[^\s'\"]*/")


def publish_benchmark(output: Path, root: Path) -> Path:
    """Keeps what a benchmark found: its tables by their names, and single figures as one line ``figures``.

    Args:
        output: ``NAME.json``, what ``python -m benchmarks.NAME ... --json`` printed.
        root: of the documents.

    Returns:
        The result file.

    Raises:
        SettingsError: that is no output of a benchmark.
        StorageError: the file cannot be written.
    """
    try:
        found = json.loads(output.read_text("utf-8"))
        parts = {"table": found} if isinstance(found, list) else found
        tables = {name: own for name, own in parts.items() if isinstance(own, list)}
        figures = {name: own for name, own in parts.items() if name not in tables}
    except (OSError, ValueError, AttributeError) as error:
        remedy = "Keep what the benchmark prints with --json in NAME.json"
        raise SettingsError("This is no output of a benchmark", where=output, remedy=remedy) from error
    lines = tables | ({"figures": [figures]} if figures else {})
    return _keep(output.stem, {"command": f"python -m benchmarks.{output.stem}"}, _rounded(lines), root)


def publish(study: Path, root: Path) -> Path:
    """Keeps a finished study's figures, without the folders of the machine that ran it.

    Args:
        study: its folder.
        root: of the documents: README.md and docs.

    Returns:
        The result file.

    Raises:
        SettingsError: the study is not finished, or a file of it cannot be read.
        StorageError: a file cannot be written.
    """
    try:
        content = json.loads((study / STUDY_FILE).read_text("utf-8"))
        files = [path for path in sorted(study.glob("*.json")) if path.name != STUDY_FILE]
        judged = {path.stem: json.loads(path.read_text("utf-8")).get("lines") for path in files}
        settings = _rounded({key: content[key] for key in ("title", "command", "seeds", "rows")})
        lines = _rounded({"table": content["figures"]} | {name: own for name, own in judged.items() if own})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SettingsError("This is no finished study", where=study, remedy="Go on with it") from error
    name = study.resolve().name.removeprefix("dermafed-study-")
    make_folder(root / "docs" / "images")
    for drawing in [*study.glob("*.svg"), *study.glob("*.webp")]:
        shutil.copy(drawing, root / "docs" / "images" / f"{name}-{drawing.name}")
    return _keep(name, settings, lines, root)


def documents(root: Path) -> list[Path]:
    """Those whose figures are written from results."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def parted(root: Path) -> dict[Path, str]:
    """The documents that do not say what the results say, each with the text that does.

    Raises:
        SettingsError: a document cannot be read, or asks for figures that are not there.
    """
    try:
        texts = {path: path.read_text("utf-8") for path in documents(root)}
    except (OSError, ValueError) as error:
        raise SettingsError(f"A document cannot be read: {error}", remedy="Call it in the clone") from error
    new = {path: renew(text, root / "docs" / "results", path.name) for path, text in texts.items()}
    return {path: text for path, text in new.items() if text != texts[path]}


def _keep(name: str, settings: dict[str, Any], lines: dict[str, list[Any]], root: Path) -> Path:
    path = root / "docs" / "results" / f"{name}.json"
    make_folder(path.parent)
    write_atomically(path, _text(settings, lines).encode())
    return path


def _rounded(value: Any) -> Any:
    """Six decimals are enough for any table, two digits for what is smaller; of a path its last part is."""
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_rounded(own) for own in value]
    if isinstance(value, str):
        return _PATH.sub("", value)
    return (round(value, 6) or float(f"{value:.2g}")) if isinstance(value, float) else value


def _text(settings: dict[str, Any], lines: dict[str, list[Any]]) -> str:
    """JSON with a line of text for each line of figures, so that a change shows what changed."""
    head = json.dumps(settings, indent=1, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    parts = [
        f'  "{name}": [\n'
        + ",\n".join(f"   {json.dumps(line, ensure_ascii=False)}" for line in own)
        + "\n  ]"
        for name, own in lines.items()
    ]
    return head + ',\n "lines": {\n' + ",\n".join(parts) + "\n }\n}\n"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m dermafed.simulation.studies.publish", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a document differs")
    told = "folder of a finished study, or NAME.json of benchmarks.NAME, to be kept"
    parser.add_argument("found", nargs="*", type=Path, help=told)
    asked = parser.parse_args()
    root = Path()
    try:
        for path in asked.found:
            keep = publish_benchmark if path.suffix == ".json" else publish
            print(f"Kept: {keep(path, root)}")
        found = parted(root)
        for path, text in found.items():
            print(f"{'Differs' if asked.check else 'Written'}: {path}")
            if not asked.check:
                write_atomically(path, text.encode())
    except DermaFedError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return int(asked.check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
