"""What one server needs for 10,000 clinics, worked out from measured unit costs.

    python -m benchmarks.one_server [--clinics 10000] [--json | --publish]

Nothing is measured here. ``docs/results/scale.json`` has what a real server took at two numbers of clinics or
more (``python -m benchmarks.scale``): what a clinic adds is the slope between the smallest and the largest of
them. Only the idle processor is that of the largest by its clinics: the more clinics there are, the less
often each calls, up to a thousand. ``benchmarks.json`` has the bytes of a round, and ``growth.json`` what a
model's parameters cost. The result is saved in ``docs/results/one_server.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.federation import EFFICIENTNETB0
from benchmarks.results import published, save

CLINICS = 10_000
CORES = 1.0
"""That the server's Python uses at a time: its threads share one interpreter's lock."""

_GIGABIT = 125.0  # MB a second
_ON_ARRIVAL = ("from the wire", "decode an update", "add up one update")
Line = Mapping[str, Any]


@dataclass(frozen=True)
class UnitCosts:
    """What one more clinic costs the server.

    Attributes:
        cpu_seconds: of processor time, a round.
        idle_percent: of a core while nothing happens.
        agreement_seconds: of processor time, until all have agreed.
        megabytes: of memory.
        fixed_megabytes: of memory, without any clinic.
        traffic: MB of network, a round.
        spool: MB of disk, while a round's updates wait for each other.
        model: MB of a model's file, of which a run keeps up to four.
    """

    cpu_seconds: float
    idle_percent: float
    agreement_seconds: float
    megabytes: float
    fixed_megabytes: float
    traffic: float
    spool: float
    model: float


def unit_costs(scale: Sequence[Line], benchmarks: Sequence[Line], points: Sequence[Line]) -> UnitCosts:
    """The unit costs, for a model of EfficientNetB0's size.

    Args:
        scale: a line for each number of clinics; at least two have the smallest model.
        benchmarks: the lines of ``benchmarks.json``.
        points: of ``growth.json``; those of the size that is nearest to the model's are taken.
    """
    smallest = min(line["megabytes"] for line in scale)
    alike = [line for line in scale if line["megabytes"] == smallest]
    few, many = (choose(alike, key=lambda line: int(line["clinics"])) for choose in (min, max))
    model = 4 * EFFICIENTNETB0 / 1e6
    arriving = [point for point in points if point["part"] in _ON_ARRIVAL]
    nearest = min((point["size"] for point in arriving), key=lambda size: abs(size - EFFICIENTNETB0))
    seconds = sum(point["seconds"] for point in arriving if point["size"] == nearest)
    larger = max(0.0, model - many["megabytes"]) * seconds / (4 * nearest / 1e6)
    (traffic,) = (
        line["ours"]["value"]
        for line in benchmarks
        if line["figure"] == "MB a round and clinic" and line["judged"] == "figure"
    )

    def slope(name: str) -> float:
        return float((many[name] - few[name]) / (many["clinics"] - few["clinics"]))

    memory = slope("server_peak_mb")
    return UnitCosts(
        slope("server_cpu_seconds_a_round") + larger,
        many["idle_server_percent_with_all"] / many["clinics"],
        slope("server_cpu_seconds_to_the_agreement"),
        memory,
        float(few["server_peak_mb"] - memory * few["clinics"]),
        float(traffic),
        model,
        model,
    )


def one_server(of: UnitCosts, clinics: int) -> list[Line]:
    """What one server needs, a line for each thing, and how many clinics it bears of each."""
    cpu, traffic = of.cpu_seconds * clinics / CORES, of.traffic * clinics
    lines = (
        ("processor, idle", "cores", of.idle_percent / 100, 0.0, CORES),
        ("processor, a round", "seconds on one core", of.cpu_seconds / CORES, 0.0, None),
        ("processor, the agreement", "seconds on one core", of.agreement_seconds / CORES, 0.0, None),
        ("memory", "GB", of.megabytes / 1e3, of.fixed_megabytes / 1e3, 64.0),
        ("network, a round", "GB", of.traffic / 1e3, 0.0, None),
        ("network, 1 Gbit/s", "seconds a round", of.traffic / _GIGABIT, 0.0, None),
        ("network, 10 Gbit/s", "seconds a round", of.traffic / _GIGABIT / 10, 0.0, None),
        ("disk, while a round lasts", "GB", of.spool / 1e3, 4 * of.model / 1e3, 1000.0),
        ("the longer of network at 10 Gbit/s and processor", "seconds a round", 0.0, 0.0, None),
    )
    longest = max(cpu, traffic / _GIGABIT / 10)
    return [
        {
            "what": what,
            "unit": unit,
            "a_clinic": each,
            "clinics": clinics,
            "all": each * clinics + fixed if each else longest,
            "limit": limit,
            "most_clinics": None if limit is None else int((limit - fixed) / each),
        }
        for what, unit, each, fixed, limit in lines
    ]


def main() -> None:
    """Work it out and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clinics", type=int, default=CLINICS, help="number of clinics")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    output.add_argument("--publish", action="store_true", help="save docs/results/one_server.json")
    given = parser.parse_args()
    of = unit_costs(
        published("scale", "table"), published("benchmarks", "table"), published("growth", "points")
    )
    lines = one_server(of, given.clinics)
    if given.json:
        print(json.dumps({"table": lines}))
    else:
        for line in lines:
            print(
                f"{line['what']}: {line['all']:.3g} {line['unit']}, {line['a_clinic']:.3g} of them a clinic"
            )
    if given.publish:
        save("one_server", {"table": lines})


if __name__ == "__main__":
    main()
