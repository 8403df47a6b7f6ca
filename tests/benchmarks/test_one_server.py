"""What one server needs for many clinics, from unit costs that can be added up by hand."""

from __future__ import annotations

import pytest

from benchmarks.federation import EFFICIENTNETB0
from benchmarks.one_server import UnitCosts, one_server, unit_costs

MODEL = 4 * EFFICIENTNETB0 / 1e6  # MB


def scale(clinics: int) -> dict[str, float]:
    """A server on which every clinic costs the same."""
    return {
        "clinics": clinics,
        "megabytes": 1.0,
        "server_cpu_seconds_a_round": 0.5 + 0.1 * clinics,
        "idle_server_percent_with_all": 0.2 * clinics,
        "server_cpu_seconds_to_the_agreement": 1 + 0.05 * clinics,
        "server_peak_mb": 300 + 2 * clinics,
    }


def test_unit_costs_are_slopes_and_the_larger_model_is_added() -> None:
    traffic = {"figure": "MB a round and clinic", "judged": "figure", "ours": {"value": 32.5}}
    other = traffic | {"judged": "times", "ours": {"value": 1.0}}
    parts = ("from the wire", "decode an update", "add up one update", "to the wire")
    larger = scale(1000) | {"megabytes": 16.0, "server_peak_mb": 9e9}
    points = [
        {"part": part, "size": size, "seconds": size / 25e6}
        for part in parts
        for size in (5_000_000, 100_000_000)
    ]
    points.append({"part": "decode an update", "size": 20_000_000, "seconds": 99.0})
    found = unit_costs([scale(100), larger, scale(20), scale(50)], [other, traffic], points)
    # 20 MB in 0.2 s: three parts of 0.01 s a MB, of what the model has beyond the 1 MB that was measured.
    assert found.cpu_seconds == pytest.approx(0.1 + 0.03 * (MODEL - 1))
    assert found.idle_percent == pytest.approx(0.2)
    assert found.agreement_seconds == pytest.approx(0.05)
    assert (found.megabytes, found.fixed_megabytes) == pytest.approx((2, 300))
    assert (found.traffic, found.spool, found.model) == pytest.approx((32.5, MODEL, MODEL))


def test_what_a_thousand_clinics_take() -> None:
    lines = {line["what"]: line for line in one_server(UnitCosts(0.1, 0.2, 0.05, 2, 300, 25, 16, 16), 1000)}
    assert {what: line["all"] for what, line in lines.items()} == pytest.approx(
        {
            "processor, idle": 2,  # cores
            "processor, a round": 100,
            "processor, the agreement": 50,
            "memory": 2.3,
            "network, a round": 25,
            "network, 1 Gbit/s": 200,
            "network, 10 Gbit/s": 20,
            "disk, while a round lasts": 16.064,
            "the longer of network at 10 Gbit/s and processor": 100,
        }
    )
    most = {what: line["most_clinics"] for what, line in lines.items() if line["most_clinics"] is not None}
    assert most == {"processor, idle": 500, "memory": 31850, "disk, while a round lasts": 62496}
