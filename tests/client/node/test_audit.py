"""The audit log: what was written is read back, and any single change of it is found."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dermafed.client.node.audit import Entry, append_entry, read_log
from dermafed.shared.errors import FederationError

ENTRIES = [Entry(7, str(number), "train", 100 + number, f"{number:064x}") for number in range(5)]


def log(folder: Path) -> Path:
    path = folder / "audit.jsonl"
    for entry in ENTRIES:
        append_entry(path, entry)
    return path


def test_lines_are_read_back_and_chained(tmp_path: Path) -> None:
    path = log(tmp_path)
    assert [line.entry for line in read_log(path)] == ENTRIES
    texts = path.read_text().splitlines()
    for before, text in itertools.pairwise(texts):
        assert json.loads(text)["previous"] == hashlib.sha256(before.encode()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path / "audit.jsonl") == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "audit.jsonl"
    path.unlink(missing_ok=True)
    path.with_suffix(".head").unlink(missing_ok=True)
    content = bytearray(log(tmp_path).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255).filter(lambda value: value != content[place]))
    path.write_bytes(content)
    with pytest.raises(FederationError, match="was changed"):
        read_log(path)
    with suppress(FederationError):
        append_entry(path, ENTRIES[0])
    with pytest.raises(FederationError, match="was changed"):  # a line more does not hide it
        read_log(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, 4), unique=True, max_size=5))
def test_any_line_removed_or_moved_is_found(tmp_path: Path, order: list[int]) -> None:
    path = tmp_path / "audit.jsonl"
    path.unlink(missing_ok=True)
    path.with_suffix(".head").unlink(missing_ok=True)
    lines = log(tmp_path).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[number] for number in order))
    if order == [0, 1, 2, 3, 4]:
        assert len(read_log(path)) == 5
    else:
        with pytest.raises(FederationError, match="was changed"):
            read_log(path)


@pytest.mark.parametrize("cut", [1, 40])
def test_half_a_line_of_a_dying_node_does_not_stop_the_log(tmp_path: Path, cut: int) -> None:
    path = log(tmp_path)
    whole, head = path.read_bytes(), path.with_suffix(".head").read_bytes()
    append_entry(path, ENTRIES[0])
    path.write_bytes(path.read_bytes()[:-cut])  # died while it wrote the sixth line
    path.with_suffix(".head").write_bytes(head)
    append_entry(path, ENTRIES[1])
    assert path.read_bytes().startswith(whole)
    assert [line.entry for line in read_log(path)] == [*ENTRIES, ENTRIES[1]]


def test_a_line_without_its_head_does_not_stop_the_log(tmp_path: Path) -> None:
    path = log(tmp_path)
    head = path.with_suffix(".head").read_bytes()
    append_entry(path, ENTRIES[0])
    path.with_suffix(".head").write_bytes(head)  # died between the two files
    assert len(read_log(path)) == 6
    append_entry(path, ENTRIES[1])
    assert len(read_log(path)) == 7


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_log_and_head_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    log = tmp_path / "audit.jsonl"
    before = os.umask(umask)
    try:
        for number in range(2):
            append_entry(log, Entry(1, str(number), "train", 10, "0" * 64))
            assert {path.stat().st_mode & 0o777 for path in (log, log.with_suffix(".head"))} == {0o600}
    finally:
        os.umask(before)
