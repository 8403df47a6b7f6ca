"""The queries of counts, which belong to no run, and their replies.

===============  ===============================  ====================================================
message          record                           content
===============  ===============================  ====================================================
query.counts,    ``request`` (config)             ``format``: of the reply; nothing that selects
query.drift
counts' reply    ``counts`` (arrays)              of each of :data:`TABLES`, int64 (G,): multiples of 5
                 ``report`` (metrics)             ``format``, ``lesions``, ``patients``
drift's reply    ``counts`` (arrays)              ``months``: int64 (12, K), ``totals``: int64 (K,)
                 ``report`` (metrics)             ``format``, ``last`` month; of the share of alerts, if
                                                  one is expected: ``low``, ``share``, ``high``
===============  ===============================  ====================================================
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, MessageType, MetricRecord, RecordDict

from dermafed.shared.counts.lesion_counts import TABLES, LesionCounts
from dermafed.shared.counts.monthly_counts import KINDS, MONTHS, Expected, MonthlyCounts
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.flower_records import (
    number,
    only_fields,
    only_records,
    read_array,
    record_of,
    to_arrays,
    whole_number,
)

COUNTS, DRIFT = "counts", "drift"
COUNTS_QUERY, DRIFT_QUERY = (f"{MessageType.QUERY}.{name}" for name in (COUNTS, DRIFT))
"""The messages that ask for counts of lesions, and for counts of answers by month."""

FORMAT = 1
"""Of the replies; a clinic answers no other, since it would be asked for other tables."""

_EXPECTED = ("low", "share", "high")


def encode_counts_request() -> RecordDict:
    """Content of both queries."""
    return RecordDict({"request": ConfigRecord({"format": FORMAT})})


def check_counts_request(content: RecordDict) -> None:
    """Check :func:`encode_counts_request` at the clinic.

    Raises:
        FederationError: it asks for something else, or in another format.
    """
    only_records(content, "request")
    request = record_of(content, "request", ConfigRecord)
    only_fields(request, "format")
    _check_format(whole_number(request, "format"))


def encode_lesion_counts(counts: LesionCounts) -> RecordDict:
    """Content of a clinic's reply to a query of its lesions, 4 kB."""
    report = MetricRecord({"format": FORMAT, "lesions": counts.lesions, "patients": counts.patients})
    return RecordDict({"counts": to_arrays(**counts.tables), "report": report})


def decode_lesion_counts(content: RecordDict) -> LesionCounts:
    """Decode :func:`encode_lesion_counts` at the server.

    Raises:
        FederationError: a field is missing, or none that a clinic may tell.
    """
    report = _report(content, TABLES.keys(), ("lesions", "patients"))
    tables = {
        name: read_array(content, "counts", name, np.int64, (len(cells),))
        for name, (cells, _) in TABLES.items()
    }
    counts = LesionCounts(whole_number(report, "lesions"), whole_number(report, "patients"), tables)
    counts.validate()
    return counts


def encode_monthly_counts(counts: MonthlyCounts) -> RecordDict:
    """Content of a clinic's reply to a query of its answers, 1 kB."""
    expected = {} if counts.expected is None else {name: getattr(counts.expected, name) for name in _EXPECTED}
    return RecordDict(
        {
            "counts": to_arrays(months=counts.counts, totals=counts.totals),
            "report": MetricRecord({"format": FORMAT, "last": counts.last, **expected}),
        }
    )


def decode_monthly_counts(content: RecordDict) -> MonthlyCounts:
    """Decode :func:`encode_monthly_counts` at the server.

    Raises:
        FederationError: a field is missing, or none that a clinic may tell.
    """
    report = _report(content, ("months", "totals"), ("last", *_EXPECTED))
    expected = Expected(*(number(report, name) for name in _EXPECTED)) if "share" in report else None
    months = read_array(content, "counts", "months", np.int64, (MONTHS, len(KINDS)))
    totals = read_array(content, "counts", "totals", np.int64, (len(KINDS),))
    counts = MonthlyCounts(whole_number(report, "last"), months, totals, expected)
    counts.validate()
    return counts


def _report(content: RecordDict, arrays: Iterable[str], fields: tuple[str, ...]) -> MetricRecord:
    only_records(content, "counts", "report")
    only_fields(record_of(content, "counts", ArrayRecord), *arrays)
    report = record_of(content, "report", MetricRecord)
    only_fields(report, "format", *fields)
    _check_format(whole_number(report, "format"))
    return report


def _check_format(found: int) -> None:
    if found != FORMAT:
        raise FederationError(f"the counts have format {found}, not {FORMAT}")
