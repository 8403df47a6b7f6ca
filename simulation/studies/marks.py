"""Writes marked numbers of a document from result files.

Each is between two comments, which are invisible to readers. The first names the lines of the file to show::

    <!-- figures ablation/table by=row across=figure tests=all arm=federated -->
    (a table: a line for each row of the study, a column for each metric)
    <!-- /figures -->

    ... reaches <!-- figures ablation/table row=plain tests=all figure=auc -->0.879<!-- /figures --> ...

``ablation/table`` are the lines ``table`` of ``ablation.json``; ``privacy/privacy+hostile/hostile`` are those
of two files, one after the other. ``KEY=VALUE`` (or ``KEY=A|B``) selects the lines with that value. ``by``
and ``across`` make a table: the keys of the first columns, and the key whose values are the headings of the
others. ``show`` is the key, or the keys, of the printed values, ``mean`` by default; ``digits`` is the number
of decimals, of all of them or, as ``3|1``, of each key.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dermafed.shared.errors import SettingsError
from dermafed.simulation.studies.markdown_table import heading, markdown_table

Line = Mapping[str, Any]

_MARK = re.compile(r"(<!-- figures (?P<query>.*?) -->).*?(<!-- /figures -->)", re.DOTALL)
_EDGE = re.compile(r"<!-- /?figures\b")
_OTHER = re.compile(r"^```.*?^```|`[^`\n]*`|\b(?:doi:|https://)[^\s)\]]+", re.DOTALL | re.MULTILINE)
_BY_HAND = re.compile(r"\d\.\d\d")
_ALL_MARKED = "<!-- every figure is from results -->"
_OPTIONS = ("by", "across", "show", "digits")


def renew(text: str, results: Path, where: object = "") -> str:
    """Returns a document with every marked number renewed from its result file.

    Args:
        text: Markdown.
        results: the folder of the result files.
        where: name of the document in messages.

    Raises:
        SettingsError: a mark is not closed, or names missing numbers.
    """

    def renewed(mark: re.Match[str]) -> str:
        try:
            return f"{mark[1]}{_shown(mark['query'], results)}{mark[3]}"
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise SettingsError(f"No such figures: {mark['query']} ({error})", where=where) from error

    if 2 * len(_MARK.findall(text)) != len(_EDGE.findall(text)):
        raise SettingsError("A mark of figures is not closed, or not opened", where=where)
    return _MARK.sub(renewed, text)


def unmarked_numbers(text: str) -> list[str]:
    """Lines with numbers outside of all marks, in a document that declares none; not of code or addresses."""
    if _ALL_MARKED not in text:
        return []
    prose = _OTHER.sub("", _MARK.sub("", text))
    return [line for line in prose.splitlines() if _BY_HAND.search(line)]


def _shown(query: str, results: Path) -> str:
    source, *pairs = shlex.split(query)
    given = dict(pair.split("=", 1) for pair in pairs)
    options = {name: given.pop(name) for name in _OPTIONS if name in given}
    lines = [line for part in source.split("+") for line in _lines(part, results)]
    chosen = [
        line for line in lines if all(str(line[key]) in value.split("|") for key, value in given.items())
    ]
    show, digits = options.get("show", "mean").split("|"), options.get("digits", "3").split("|")
    of_key = dict(zip(show, digits if len(digits) > 1 else digits * len(show), strict=True))

    def cell(line: Line, key: str) -> str:
        return _cell(line, key, int(of_key[key]))

    if "by" in options:
        return "\n" + _table(chosen, options["by"].split("|"), options.get("across"), show, cell)
    if len(chosen) != 1:
        raise LookupError(f"{len(chosen)} lines, not 1")
    return cell(chosen[0], *show)


def _lines(source: str, results: Path) -> list[Line]:
    file, lines_of = source.split("/")
    found: list[Line] = json.loads((results / f"{file}.json").read_text("utf-8"))["lines"][lines_of]
    return found


def _table(
    lines: Sequence[Line],
    by: Sequence[str],
    across: str | None,
    show: Sequence[str],
    cell: Callable[[Line, str], str],
) -> str:
    """A line for each value of ``by``; the columns are the shown keys, or the values of ``across``."""
    if not lines:
        raise LookupError("0 lines")
    table: dict[tuple[str, ...], dict[str, str]] = {}
    for line in lines:
        if across is None:
            cells = {key: cell(line, key) for key in show}
        else:  # a line without a metric is a row of empty cells
            cells = {} if line[across] is None else {str(line[across]): cell(line, *show)}
        row = table.setdefault(tuple(str(line[key]) for key in by), {})
        if row.keys() & cells.keys():
            raise LookupError("several lines for one cell")
        row |= cells
    columns = list(dict.fromkeys(column for row in table.values() for column in row))
    rows = [[*key, *(row.get(column, "") for column in columns)] for key, row in table.items()]
    head = [heading(name) for name in (*by, *columns)]
    return markdown_table(head, rows, names=len(by))


def _cell(line: Line, key: str, digits: int) -> str:
    """A value, with its interval where the line has one."""
    value = line[key]
    interval = value if isinstance(value, dict) else line if key in ("mean", "difference") else {}
    text = _number(interval["value"] if isinstance(value, dict) else value, digits, p=key in ("p", "p_holm"))
    if interval.get("half_width") is not None:
        return f"{text} ± {_number(interval['half_width'], digits)}"
    if interval.get("low") is not None:
        return f"{text} ({_number(interval['low'], digits)} to {_number(interval['high'], digits)})"
    return text


def _number(value: Any, digits: int, *, p: bool = False) -> str:
    if value is None:
        return "–"
    if p and value < 10**-digits:
        return f"< {10**-digits:.{digits}f}"
    return f"{value:z.{digits}f}" if isinstance(value, float) else str(value)
