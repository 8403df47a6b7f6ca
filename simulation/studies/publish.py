"""Updates the numbers of the documents from the results of studies and benchmarks.

    python -m dermafed.simulation.studies.publish [--check] [STUDY_FOLDER | BENCHMARK.json]...

Saves a finished study's metrics in ``docs/results/STUDY.json`` and its plots in ``docs/images``; the output
of a benchmark with ``--json`` in ``docs/results`` with the same file name. Then writes all marked numbers of
``README.md`` and ``docs/*.md`` from ``docs/results`` (see ``marks.py``). ``--check`` writes nothing, and only
lists the documents that differ.
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
    """Saves the output of a benchmark: its tables by their names, and single numbers as one line ``figures``.

    Args:
        output: ``NAME.json``, the output of ``python -m benchmarks.NAME ... --json``; ``benchmarks.json``,
            that of all comparisons.
        root: folder of README.md and docs.

    Returns:
        The result file.

    Raises:
        SettingsError: the file is not the output of a benchmark.
        StorageError: the file cannot be written.
    """
    try:
        found = json.loads(output.read_text("utf-8"))
        parts = {"table": found} if isinstance(found, list) else found
        tables = {name: own for name, own in parts.items() if isinstance(own, list)}
        figures = {name: own for name, own in parts.items() if name not in tables}
    except (OSError, ValueError, AttributeError) as error:
        remedy = "Write the output of the benchmark with --json to NAME.json"
        raise SettingsError("This is not the output of a benchmark", where=output, remedy=remedy) from error
    lines = tables | ({"figures": [figures]} if figures else {})
    module = "benchmarks" if output.stem == "benchmarks" else f"benchmarks.{output.stem}"
    return _save_results(output.stem, {"command": f"python -m {module}"}, _rounded(lines), root)


def publish(study: Path, root: Path) -> Path:
    """Saves a finished study's metrics, without the folders of the machine that ran it.

    Args:
        study: the study's folder.
        root: folder of README.md and docs.

    Returns:
        The result file.

    Raises:
        SettingsError: the study is not finished, or a file of it cannot be read.
        StorageError: a file cannot be written.
    """
    try:
        content = json.loads((study / STUDY_FILE).read_text("utf-8"))
        files = [path for path in sorted(study.glob("*.json")) if path.name != STUDY_FILE]
        analyses = {path.stem: json.loads(path.read_text("utf-8")).get("lines") for path in files}
        settings = _rounded({key: content[key] for key in ("title", "command", "seeds", "rows")})
        lines = _rounded({"table": content["figures"]} | {name: own for name, own in analyses.items() if own})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SettingsError("This is not a finished study", where=study, remedy="Continue it") from error
    name = study.resolve().name.removeprefix("dermafed-study-")
    make_folder(root / "docs" / "images")
    for plot in [*study.glob("*.svg"), *study.glob("*.webp")]:
        shutil.copy(plot, root / "docs" / "images" / f"{name}-{plot.name}")
    return _save_results(name, settings, lines, root)


def documents(root: Path) -> list[Path]:
    """The documents whose numbers are written from results."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def outdated_documents(root: Path) -> dict[Path, str]:
    """The documents whose numbers differ from the results, each with its new text.

    Raises:
        SettingsError: a document cannot be read, or a mark names missing numbers.
    """
    try:
        texts = {path: path.read_text("utf-8") for path in documents(root)}
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"A document cannot be read: {error}", remedy="Run this command in the root of the repository"
        ) from error
    new = {path: renew(text, root / "docs" / "results", path.name) for path, text in texts.items()}
    return {path: text for path, text in new.items() if text != texts[path]}


def _save_results(name: str, settings: dict[str, Any], lines: dict[str, list[Any]], root: Path) -> Path:
    path = root / "docs" / "results" / f"{name}.json"
    make_folder(path.parent)
    write_atomically(path, _text(settings, lines).encode())
    return path


def _rounded(value: Any) -> Any:
    """Rounds numbers to six decimals, smaller ones to two digits, and shortens a path to its last part."""
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_rounded(own) for own in value]
    if isinstance(value, str):
        return _PATH.sub("", value)
    return (round(value, 6) or float(f"{value:.2g}")) if isinstance(value, float) else value


def _text(settings: dict[str, Any], lines: dict[str, list[Any]]) -> str:
    """JSON with a line of text for each line of results, so that a diff shows the changed ones."""
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
    parser.add_argument(
        "found",
        nargs="*",
        type=Path,
        help="folder of a finished study, or NAME.json of benchmarks.NAME, to save",
    )
    options = parser.parse_args()
    root = Path()
    try:
        for path in options.found:
            save = publish_benchmark if path.suffix == ".json" else publish
            print(f"Saved: {save(path, root)}")
        found = outdated_documents(root)
        for path, text in found.items():
            print(f"{'Differs' if options.check else 'Written'}: {path}")
            if not options.check:
                write_atomically(path, text.encode())
    except DermaFedError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return int(options.check and bool(found))


if __name__ == "__main__":
    sys.exit(main())
