"""Errors quote what others wrote; a terminal or a log must not obey it."""

from __future__ import annotations

import pickle

from dermafed.shared.errors import SettingsError


def test_what_an_error_quotes_is_printable() -> None:
    error = SettingsError("No key '\x1b[2Jä\r\n\ud800'", where="plan\x07.toml", remedy="Write '\u202e'")
    assert str(error) == r"No key '\x1b[2Jä\r\n\ud800' (plan\x07.toml). Write '\u202e'."
    assert len(str(SettingsError("x" * 10**6, where="y" * 10**6))) < 4100
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
