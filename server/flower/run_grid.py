"""The part of Flower's Grid that is the same wherever the clinics are."""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import Message, RecordDict
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run


class RunGrid(Grid):
    """A Grid of one run; a subclass finds the clinics, pushes messages and pulls their replies."""

    def set_run(self, run: Run) -> None:
        """There is one run only."""

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A message; deprecated by Flower in favour of the class itself."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Node ids of the connected clinics."""
        return [node.node_id for node in self.get_nodes()]

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        """Not used: :mod:`dermafed.server.rounds.exchange` takes the replies one by one."""
        raise NotImplementedError


class PassingGrid(RunGrid):
    """Passes on to another grid; a subclass does something besides with what it pushes and pulls.

    Args:
        grid: the connection to the clinics.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    @property
    def run(self) -> Run:
        """The open run."""
        return self._grid.run

    def get_nodes(self) -> Iterable[NodeInfo]:
        """The connected clinics, as the grid names them."""
        return self._grid.get_nodes()
