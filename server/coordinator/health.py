"""The health port: ``/health`` as JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from dermafed.server.flower.link import Link
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import list_rounds
from dermafed.server.record.runs_table import ACTIVE, list_runs


@dataclass(frozen=True)
class ServerState:
    """The state of the server at one moment.

    Attributes:
        enrolled: clinics that may connect.
        online: clinics that are connected.
        run: name of the current run, empty without one.
        state: status of that run, for example ``running``; ``idle`` without one.
        round: its last finished round.
        round_seconds: duration of that round.
        balanced_accuracy: on the clinics' validation images after that round.
    """

    enrolled: int
    online: int
    run: str = ""
    state: str = "idle"
    round: int = 0
    round_seconds: float | None = None
    balanced_accuracy: float | None = None


_GAUGES = {
    "enrolled": "Clinics that may connect",
    "online": "Clinics that are connected",
    "round": "Last finished round of the current run",
    "round_seconds": "Duration of that round",
    "balanced_accuracy": "Validation balanced accuracy after that round",
}


def server_state(link: Link, record: Record) -> ServerState:
    """The clinics, and the active run if there is one."""
    nodes = link.nodes()
    online = sum(node.online for node in nodes)
    run = next((run for run in list_runs(record) if run.status in ACTIVE), None)
    if run is None:
        return ServerState(len(nodes), online)
    state = ServerState(len(nodes), online, run.name, run.status.value)
    last = next(reversed(list_rounds(record, run.number)), None)
    if last is None:
        return state
    score, seconds = last["validation_balanced_accuracy"], last["seconds"]
    return replace(state, round=last["round"], round_seconds=seconds, balanced_accuracy=score)


def health_app(current_state: Callable[[], ServerState], page: ASGIApp | None = None) -> Starlette:
    """The app of the health port, which only this machine can reach.

    Args:
        current_state: called for each request.
        page: what answers all other paths; it checks by itself who calls.
    """

    def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", **asdict(current_state())})

    def metrics(request: Request) -> Response:
        registry = CollectorRegistry()
        registry.register(_Collector(current_state()))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    pages = [] if page is None else [Mount("/", page)]
    return Starlette(routes=[Route("/health", health), Route("/metrics", metrics), *pages])


class _Collector:
    """The state as Prometheus metrics; an unknown value is left out."""

    def __init__(self, state: ServerState) -> None:
        self._state = state

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, help_text in _GAUGES.items():
            value = getattr(self._state, name)
            if value is not None:
                yield GaugeMetricFamily(f"dermafed_{name}", help_text, value=value)
        run = GaugeMetricFamily(
            "dermafed_run", "1 for the current run and its state", labels=["name", "state"]
        )
        run.add_metric([self._state.run, self._state.state], 1)
        yield run
