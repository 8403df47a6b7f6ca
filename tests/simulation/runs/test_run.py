from __future__ import annotations

from pathlib import Path

import pytest

from dermafed.shared.errors import ImageError
from dermafed.simulation.runs.run import run_folder


def test_trained_states_remain_after_an_error(tmp_path: Path) -> None:
    state = tmp_path / "out" / "arms" / "federated" / "round-0001.npz"

    @run_folder(tmp_path / "out")
    def train() -> None:
        state.parent.mkdir(parents=True)
        state.write_bytes(b"hours of work")
        raise ImageError("an image vanished")

    with pytest.raises(ImageError):
        train()
    assert state.read_bytes() == b"hours of work"
