from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.commands.small_datasets import HAM
from tests.faults.federation import Federation


@pytest.fixture(scope="session")
def federation_of_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """One federation for all tests: to load TensorFlow in three clinics takes a while."""
    if not HAM.is_dir():
        pytest.skip("the real images are not beside the checkout")
    federation = Federation(tmp_path_factory.mktemp("federation")).make()
    yield federation
    federation.kill(*list(federation.running))


@pytest.fixture
def federation(federation_of_all: Federation) -> Federation:
    """Whole again, whatever a test before has broken."""
    federation_of_all.heal()
    return federation_of_all
