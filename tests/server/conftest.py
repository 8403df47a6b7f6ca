"""A state for the tests of the link and of the grid."""

from __future__ import annotations

import pytest

from dermafed.server.flower.link import Link
from tests.server.flower.link_side import new_key, public_pem
from tests.server.small_clinics import NAMES


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Link:
    """One state for all tests that do not need one of their own: making it takes time."""
    return Link(tmp_path_factory.mktemp("link") / "objects")


@pytest.fixture
def nodes(link: Link) -> dict[int, str]:
    return {link.register(name, public_pem(new_key())): name for name in NAMES}
