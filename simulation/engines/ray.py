"""The engine ``ray``: Flower's own simulation, with the clinics in Ray's worker processes.

For machines with many cores, and for clusters of them; it takes about 25 s to start. Only Flower's public
interface is used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid, ServerApp

from dermafed.server.flower.run_grid import PassingGrid
from dermafed.shared.errors import FederationError
from dermafed.shared.training.backend import can_use_gpu
from dermafed.simulation.engines.cluster import check_cluster, check_ray, connection
from dermafed.simulation.engines.local import clinic_names

_ASK_PARTITION = "query.partition"

# A reply's error code and the start of its reason where Flower saw an error of Ray, not of a clinic's app.
_NOT_THE_APP, _OF_RAY = 0, "<class 'ray.exceptions."


def run_ray(
    server_app: ServerApp,
    client_app: ClientApp,
    clinics: int | Sequence[str],
    *,
    address: str | None = None,
    folder: Path | None = None,
) -> None:
    """Run a federation with Ray; the number of clinics that work at a time depends on the cores.

    Each worker has one core, and a GPU to itself where there are any and the backend can use them.

    The client app is sent to the worker processes by cloudpickle, with every message: it should load its data
    there, as :class:`dermafed.client.node.trainer_cache.TrainerCache` does. The server app runs in a thread
    of this process.

    Args:
        server_app: the server.
        client_app: the app of each clinic; its context has ``partition-id`` and ``num-partitions``.
        clinics: the clinics' names in order of their partition, or their number.
        address: of a Ray cluster that runs already; ``None``: Ray is started on this machine.
        folder: what every machine of the cluster must see.

    Raises:
        SettingsError: Ray is not installed, or a machine of the cluster cannot work on the run.
        FederationError: Ray did not start or stopped, or there is no such cluster.
        DermaFedError: any error of the server app.
    """
    check_ray()
    if address is not None:
        check_cluster(address, [] if folder is None else [folder])
    from flwr.simulation import run_simulation

    names = clinic_names(clinics)
    failures: list[BaseException] = []
    stopped = threading.Event()
    try:
        # Flower takes the connection that there is; its own could not send variables to the workers.
        with connection(address) as gpus:
            run_simulation(
                server_app=_in_thread(server_app, names, failures, stopped),
                client_app=_with_partition_query(client_app),
                num_supernodes=len(names),
                backend_config={
                    "client_resources": {"num_cpus": 1, "num_gpus": 1.0 if gpus and can_use_gpu() else 0.0}
                },
            )
    except RuntimeError as error:
        cause = error.__cause__ or error
        raise FederationError(
            f"Ray could not run the federation: {cause}", remedy="Choose the engine 'local'"
        ) from error
    finally:
        stopped.set()
    if failures:
        raise failures[0]


def _in_thread(
    server_app: ServerApp,
    names: Sequence[str],
    failures: list[BaseException],
    stopped: threading.Event,
) -> ServerApp:
    """The server app with named clinics; collects its errors in ``failures``."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        try:
            server_app(NamedGrid(grid, names, stopped), context)
        except BaseException as error:
            failures.append(error)

    return app


def _with_partition_query(client_app: ClientApp) -> ClientApp:
    """The client app, and a query of its node's partition."""
    app = ClientApp()

    def forward(message: Message, context: Context) -> Message:
        return client_app(message, context)

    def partition(message: Message, context: Context) -> Message:
        node = MetricRecord({"partition-id": int(context.node_config["partition-id"])})
        return Message(RecordDict({"node": node}), reply_to=message)

    app.train()(forward)
    app.evaluate()(forward)
    app.query("partition")(partition)
    return app


class NamedGrid(PassingGrid):
    """Flower's grid, with the clinics' names, which its simulation does not know."""

    def __init__(self, grid: Grid, names: Sequence[str], stopped: threading.Event) -> None:
        super().__init__(grid)
        self._stopped = stopped
        partitions = self._ask_partitions(len(names))
        self._names = {node: names[partition] for node, partition in partitions.items()}

    def _ask_partitions(self, clinics: int) -> dict[int, int]:
        """Node id to partition; the nodes' ids are random, and the workers take a while to start."""
        while len(nodes := list(self._grid.get_node_ids())) < clinics:
            self._check_running()
            time.sleep(0.1)
        messages = [Message(RecordDict(), node, _ASK_PARTITION) for node in nodes]
        waiting = set(self.push_messages(messages))
        partitions: dict[int, int] = {}
        while waiting:
            for reply in self.pull_messages(waiting):
                waiting.discard(reply.metadata.reply_to_message_id)
                if reply.has_error():
                    raise FederationError(
                        f"A worker of Ray cannot run a clinic: {reply.error.reason}",
                        remedy="Install the same DermaFed on every machine of the cluster",
                    )
                partition = reply.content.metric_records["node"]["partition-id"]
                partitions[reply.metadata.src_node_id] = cast(int, partition)
            time.sleep(0.1)
        return partitions

    def _check_running(self) -> None:
        if self._stopped.is_set():
            raise FederationError("Ray has stopped")

    def get_nodes(self) -> Iterable[NodeInfo]:
        """Every connected clinic's node id and name."""
        return [NodeInfo(node_id=node, name=self._names[node]) for node in self._grid.get_node_ids()]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """As Flower's grid."""
        return self._grid.push_messages(messages)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """As Flower's grid, until the simulation has stopped: after that, no reply can come.

        Raises:
            FederationError: Ray has stopped, or a worker is lost. Its clinics would otherwise be missing in
                the model, as would be all that Flower sends to this worker from then on.
        """
        self._check_running()
        replies = list(self._grid.pull_messages(message_ids))
        if any(map(_is_of_ray, replies)):
            raise FederationError(
                "Ray has lost a machine or a worker process during the run",
                remedy="See with 'ray status' what runs, start what does not, and continue with --resume",
            )
        return replies


def _is_of_ray(reply: Message) -> bool:
    """Whether Flower replies in a clinic's place, because Ray has failed."""
    if not reply.has_error():
        return False
    return reply.error.code == _NOT_THE_APP and (reply.error.reason or "").startswith(_OF_RAY)
