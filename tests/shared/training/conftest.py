from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.shared.training.tiny import tiny_backbones


@pytest.fixture(autouse=True)
def _tiny() -> Iterator[None]:
    with tiny_backbones():
        yield
