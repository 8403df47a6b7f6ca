"""What a monitor may ask on the health port: ``/health`` as JSON, ``/metrics`` for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(frozen=True)
class Figures:
    """How the server stands.

    Attributes:
        enrolled: clinics that may connect.
        online: clinics that are connected.
        run: name of the current run, empty without one.
        state: of that run, for example ``running``; ``idle`` without one.
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


def health_app(figures: Callable[[], Figures]) -> Starlette:
    """The app of the health port, which only this machine may reach.

    Args:
        figures: how the server stands now; called for each request.
    """

    def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", **asdict(figures())})

    def metrics(request: Request) -> Response:
        registry = CollectorRegistry()
        registry.register(_Collector(figures()))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/health", health), Route("/metrics", metrics)])


class _Collector:
    """One state of the server in Prometheus' terms; a figure that is not known is left out."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, help_text in _GAUGES.items():
            value = getattr(self._figures, name)
            if value is not None:
                yield GaugeMetricFamily(f"dermafed_{name}", help_text, value=value)
        state = GaugeMetricFamily(
            "dermafed_run", "1 for the current run and its state", labels=["name", "state"]
        )
        state.add_metric([self._figures.run, self._figures.state], 1)
        yield state
