"""The engine ``ray`` gives what ``local`` gives."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from dermafed.client.node.client_app import build_client_app
from dermafed.client.node.trainer_cache import TrainerCache
from dermafed.server.rounds.checkpoint import has_state, load_state
from dermafed.shared.errors import FederationError, SettingsError
from dermafed.shared.training.trainer import Trainer
from dermafed.simulation.engines.local import LocalGrid, become_server_task, clinic_names, run_local
from dermafed.simulation.engines.ray import run_ray
from tests.server.small_clinics import SIZES, server, trainer_for

NAMES = ("vienna", "graz", "linz")


def without_graz(context: Context) -> Trainer:
    """Clinic 1 fails."""
    if context.node_config["partition-id"] == 1:
        raise ValueError("Jane Doe")
    return trainer_for(context)


def one_after_the_other(*apps: ServerApp) -> ServerApp:
    """One server app, since Ray takes its time to start."""
    together = ServerApp()

    @together.main()
    def main(grid: Grid, context: Context) -> None:
        for app in apps:
            app(grid, context)

    return together


def test_without_ray_there_is_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"needs Ray.*dermafed\[ray\]"):
        run_ray(server(tmp_path), build_client_app(trainer_for), NAMES)


def test_trainers_are_cached_by_clinic_and_run() -> None:
    built: list[int] = []

    def build(context: Context) -> Trainer:
        built.append(context.node_id)
        return trainer_for(context)

    first, second = TrainerCache(build), TrainerCache(build)
    contexts = [Context(1, 40 + i, {"partition-id": i}, None, {}) for i in range(len(SIZES))]  # type: ignore[arg-type]
    assert first(contexts[0]) is first(contexts[0])
    assert first(contexts[0]) is not first(contexts[1])
    assert first(contexts[0]) is not second(contexts[0])
    first.clear()
    first(contexts[0])
    assert built == [40, 41, 40, 40]


class Numbered(LocalGrid):
    """Messages have ids, as in Flower's grid."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        ids = list(super().push_messages(messages))
        for id in ids:
            self._waiting[id].metadata.__dict__["_message_id"] = id
        return ids


def test_a_lost_worker_is_no_missing_clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lossy(Numbered):
        """From the second round on, Flower's word for each message to a worker that is lost."""

        def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
            lost = "<class 'ray.exceptions.ActorDiedError'>:<'The actor died'>"
            for message in super().pull_messages(message_ids):
                yield Message(Error(0, lost), reply_to=message) if load_round(tmp_path) else message

    def simulate(*, server_app: ServerApp, client_app: ClientApp, **settings: object) -> None:
        become_server_task()
        server_app(Lossy(client_app, NAMES), Context(1, 1, {}, RecordDict(), {}))

    monkeypatch.setattr("flwr.simulation.run_simulation", simulate)
    monkeypatch.setattr("dermafed.simulation.engines.ray.connection", lambda address: nullcontext(0.0))
    with pytest.raises(FederationError, match="Ray has lost a machine or a worker") as error:
        run_ray(server(tmp_path, rounds=3, quorum=1), build_client_app(trainer_for), NAMES)
    assert "--resume" in error.value.remedy
    assert load_round(tmp_path) == 1


def load_round(folder: Path) -> int:
    """The last round that was saved."""
    return load_state(folder).round if has_state(folder) else 0


def in_this_process(
    *, server_app: ServerApp, client_app: ClientApp, num_supernodes: int, backend_config: object
) -> None:
    """Takes the place of Flower's ``run_simulation``, which starts Ray."""
    become_server_task()
    server_app(Numbered(client_app, clinic_names(num_supernodes)), Context(1, 1, {}, RecordDict(), {}))


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.parametrize("starts_ray", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ray_gives_what_local_gives(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, starts_ray: bool
) -> None:
    if not starts_ray:
        monkeypatch.setattr("flwr.simulation.run_simulation", in_this_process)
        monkeypatch.setattr("dermafed.simulation.engines.ray.connection", lambda address: nullcontext(0.0))
    client = build_client_app(TrainerCache(without_graz))
    run_local(server(tmp_path / "local", rounds=2), client, NAMES)
    capfd.readouterr()
    # The second app's own failure must come out of the engine as it is.
    both = one_after_the_other(
        server(tmp_path / "ray", rounds=2), server(tmp_path / "strict", quorum=1.0, attempts=1)
    )
    with pytest.raises(FederationError, match="graz: training failed"):
        run_ray(both, client, NAMES)
    output = capfd.readouterr()
    here, there = load_state(tmp_path / "local"), load_state(tmp_path / "ray")
    assert there.round == 2
    np.testing.assert_allclose(there.weights, here.weights, rtol=1e-6, atol=1e-7)
    assert [row.left_out for row in there.history] == [row.left_out for row in here.history]
    assert there.history[0].left_out.startswith("graz: training failed there (ValueError)")
    assert there.history[1].validation_auc == pytest.approx(here.history[1].validation_auc)
    assert "Jane" not in (tmp_path / "ray" / "history.csv").read_text() + output.out
    assert "DEPRECATED" not in output.out + output.err  # Flower is quiet
