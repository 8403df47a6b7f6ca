"""Ask the clinics for counts: one message to each, outside of any run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from flwr.app import RecordDict

from dermafed.server.coordinator.query_answers import QueryAnswers, save_answers
from dermafed.server.flower.link import Link
from dermafed.server.record.clinics_table import list_clinics
from dermafed.server.record.queries_table import Query, end_query, list_queries
from dermafed.server.record.record_database import Record
from dermafed.server.record.suspensions_table import list_suspensions
from dermafed.server.rounds.exchange import Assignment, exchange
from dermafed.shared.errors import DermaFedError
from dermafed.shared.protocol.count_messages import (
    COUNTS_QUERY,
    DRIFT_QUERY,
    decode_lesion_counts,
    decode_monthly_counts,
    encode_counts_request,
)

ANSWER_SECONDS = 300.0  # a worker may be loading, and a clinic lists its images

_MESSAGES: dict[str, tuple[str, Callable[[RecordDict], Any]]] = {
    "lesions": (COUNTS_QUERY, decode_lesion_counts),
    "drift": (DRIFT_QUERY, decode_monthly_counts),
}

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class QueryAsker:
    """Asks the clinics that are connected, while no run is executed.

    Attributes:
        link: the link to the clinics.
        record: the federation's database.
        folder: of the federation.
    """

    link: Link
    record: Record
    folder: Path

    def next_query(self) -> Query | None:
        """The oldest query that has not ended."""
        return next((query for query in list_queries(self.record) if query.ended is None), None)

    def ask(self, query: Query, stopped: Event) -> None:
        """Ask the clinics, save what they tell, and note the end of the query.

        Args:
            query: the query.
            stopped: ends it once it is set; it is asked again when the server starts again.
        """
        why = ""
        try:
            answers = self._answers(query, stopped)
            save_answers(self.folder, query, answers)
            log.info(
                "Query %d, %s: answers of %d clinics, none of %d",
                *(query.number, query.kind, len(answers.clinics), len(answers.left_out)),
            )
        except DermaFedError as error:
            if stopped.is_set():
                return
            why = str(error)
        except Exception as error:  # it must end, or the clinics would be asked again and again
            log.exception("the query failed")
            why = f"{type(error).__name__}; the server's log says more"
        if why:
            log.error("Query %d, %s: %s", query.number, query.kind, why)
        end_query(self.record, query.number, why)

    def _answers(self, query: Query, stopped: Event) -> QueryAnswers[Any]:
        kind, decode = _MESSAGES[query.kind]
        suspended = list_suspensions(self.record)
        online = {node.id: node.clinic for node in self.link.nodes() if node.online}
        asked = {node: clinic for node, clinic in online.items() if clinic not in suspended}
        enrolled = [clinic.name for clinic in list_clinics(self.record, revoked=False)]
        left_out = {
            clinic: suspended[clinic].text if clinic in suspended else "it is not connected"
            for clinic in enrolled
            if clinic not in asked.values()
        }
        found: dict[str, Any] = {}

        def accept(clinic: str, content: RecordDict) -> float:
            found[clinic] = decode(content)
            return 0.0

        with self.link.open_run() as run:
            grid = self.link.grid(run, asked, stopped, lambda: list_suspensions(self.record))
            message = Assignment(kind, 0, encode_counts_request())
            participation = exchange(grid, message, asked, ANSWER_SECONDS, accept)
        return QueryAnswers(query.number, query.asked, found, left_out | participation.left_out)
