"""Execute one run: agree with the clinics, build the first weights, run the rounds and record them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from flwr.app import Context, RecordDict
from flwr.serverapp import Grid

from dermafed.server.coordinator.agree import Agreement, agree
from dermafed.server.coordinator.count_images import CountImages
from dermafed.server.coordinator.plan_file import parse_plan
from dermafed.server.coordinator.run_plan import RunPlan
from dermafed.server.coordinator.run_shares import save_shares
from dermafed.server.flower.link import Link
from dermafed.server.flower.observed_grid import ObservedGrid
from dermafed.server.flower.sparing_grid import SparingGrid
from dermafed.server.record.clinics_table import list_clinics
from dermafed.server.record.record_database import Record
from dermafed.server.record.rounds_table import save_answer, save_round
from dermafed.server.record.runs_table import Run, Status, change_status, save_class_counts
from dermafed.server.record.suspensions_table import Suspension, list_suspensions
from dermafed.server.rounds.after_run import AfterRun
from dermafed.server.rounds.checkpoint import has_state, load_state
from dermafed.server.rounds.coding import Coding
from dermafed.server.rounds.evaluations import melanoma_index
from dermafed.server.rounds.event_files import tensorboard_writer
from dermafed.server.rounds.first_weights import FirstWeights, first_weights
from dermafed.server.rounds.held_classes import HeldClasses
from dermafed.server.rounds.history import HistoryRow, round_text
from dermafed.server.rounds.ledger_heads import LedgerHeads
from dermafed.server.rounds.planned_strategy import planned_strategy
from dermafed.server.rounds.private_steps import PrivateSteps
from dermafed.server.rounds.refit_round import refitted
from dermafed.server.rounds.round_rules import RoundRules
from dermafed.server.rounds.rounds import is_over
from dermafed.server.rounds.run_alert import CALIBRATION_FILE
from dermafed.server.rounds.run_audit import MODEL_AUDIT_FILE
from dermafed.server.rounds.run_explanations import EXPLANATIONS_FILE
from dermafed.server.rounds.run_finder import LESION_FINDER_FILE
from dermafed.server.rounds.secure_sums import SecureSums
from dermafed.server.rounds.server_app import build_server_app
from dermafed.server.rounds.server_defences import ServerDefences
from dermafed.server.rounds.shares import Member, members_of
from dermafed.server.rounds.sum_attempts import SumAttempts
from dermafed.shared.errors import FederationError
from dermafed.shared.protocol.agreement import Answer
from dermafed.shared.protocol.offer import Offer
from dermafed.shared.protocol.summed import Summing
from dermafed.shared.storage.atomic_files import make_private_folder, write_atomically

OFFER_FILE, PLAN_FILE = "offer.json", "plan.toml"

LEDGERS_FILE = "ledgers.json"
"""Beside the runs: the heads of the clinics' ledgers of privacy that were seen last."""

log = logging.getLogger("dermafed.server")


@dataclass(frozen=True)
class Start:
    """What a run's rounds start from.

    Attributes:
        first: the first weights.
        members: the clinics by the agreement; ``None`` where only their sums are known.
        held: which of them have which class, where the plan wants that.
        summing: what the clinics approved of secure sums, where the plan has some.
    """

    first: FirstWeights
    members: Mapping[str, Member] | None
    held: HeldClasses | None
    summing: Summing | None


@dataclass(frozen=True)
class RunExecutor:
    """Executes runs, one at a time.

    Attributes:
        link: the link to the clinics.
        record: the federation's database.
        runs: the folder with a folder for each run.
        tensorboard: a folder for TensorBoard's event files; none are written without it.
    """

    link: Link
    record: Record
    runs: Path
    tensorboard: Path | None = None

    def execute(self, run: Run, stopped: Event) -> str:
        """Execute a run from its last finished round to its end.

        Args:
            run: new, or executed in part before.
            stopped: ends the run once it is set.

        Returns:
            Why it ended early; empty after the last of its rounds.

        Raises:
            DermaFedError: it cannot continue, or was stopped; the finished rounds are on disk.
        """
        plan, folder = parse_plan(run.plan, run.plan_path), self.runs / run.folder_name
        rules = plan.round_rules(len(run.clinics))
        _prepare_folder(folder, run)
        asked = set(run.clinics).difference(self._suspended())
        for clinic in sorted(set(run.clinics) - asked):
            log.warning("Run %d: %s is suspended, and is not asked", run.number, clinic)
        clinics = {node.id: node.clinic for node in self.link.nodes() if node.clinic in asked}
        if is_complete(folder, plan, rules):
            return _reason_for_early_end(folder, rules)
        with self.link.open_run() as flower_run:
            grid = self._grid(flower_run, clinics, stopped, folder)
            agreement = self._agree(run, plan, grid, clinics)
            members = None
            if not plan.offer.privacy.is_secure:
                members = members_of(agreement.counts, plan.offer.recipe.balance)
                save_shares(folder, members, rules.largest_share)
            first = first_weights(folder, plan.offer.model, plan.weights, plan.offer.seed, stopped.is_set)
            masked = plan.offer.recipe.mask_absent
            held = HeldClasses.of(agreement.counts, first.features) if masked else None
            if not change_status(self.record, run.number, [Status.AGREEING, Status.RUNNING], Status.RUNNING):
                raise FederationError("The run was stopped", remedy="Resume it when you like")
            grid = self._grid(flower_run, agreement.joined, stopped, folder)
            start = Start(first, members, held, summing_of(run, agreement.class_counts))
            self._rounds(run, plan, rules, start, grid)
        return _reason_for_early_end(folder, rules)

    def _grid(self, run: int, clinics: Mapping[int, str], stopped: Event, folder: Path) -> Grid:
        grid = self.link.grid(run, clinics, stopped, self._suspended)
        return SparingGrid(ObservedGrid(grid, clinics, folder))

    def _suspended(self) -> Mapping[str, Suspension]:
        return list_suspensions(self.record)

    def _agree(self, run: Run, plan: RunPlan, grid: Grid, clinics: Mapping[int, str]) -> Agreement:
        offer, rules = Offer.from_text(run.offer), plan.round_rules(len(run.clinics))

        def on_answer(clinic: str, answer: Answer, why: str) -> None:
            save_answer(self.record, run.number, clinic, answer.decision.value, why)

        summing, attempts, count = summing_of(run), SumAttempts(self.runs / run.folder_name), None
        if summing is not None:
            sums = SecureSums(summing, attempts, rules, self._ledgers(offer))
            count = CountImages(grid, run, self.record, sums)
        agreement = agree(
            grid, clinics, offer, rules, plan.approval_seconds, on_answer=on_answer, count=count
        )
        for clinic, why in agreement.left_out.items():
            answer = agreement.answers.get(clinic)
            save_answer(self.record, run.number, clinic, answer.decision.value if answer else "silent", why)
        save_class_counts(self.record, run.number, agreement.class_counts)
        return agreement

    def _rounds(self, run: Run, plan: RunPlan, rules: RoundRules, start: Start, grid: Grid) -> None:
        folder, first, offer = self.runs / run.folder_name, start.first, plan.offer
        before = load_state(folder).history if has_state(folder) else ()
        for row in before:  # a sudden end may lie between a round's file and its entry in the record
            save_round(self.record, run.number, row)

        def on_round(row: HistoryRow) -> None:
            save_round(self.record, run.number, row)
            write_row(row)
            log.info(
                "Run %d, %s: balanced accuracy %.3f, %d clinics, %.1f s",
                *(run.number, round_text(row.round, rules.rounds)),
                *(row.validation_balanced_accuracy, row.replied, row.seconds),
            )

        app = build_server_app(
            *(first.weights, len(offer.model.classes), rules, folder),
            strategy=planned_strategy(offer.strategy, offer.recipe),
            settings={"offer": run.hash},
            adapted=first.adapted,
            parts=first.parts,
            members=start.members,
            held=start.held,
            resume=True,
            melanoma=melanoma_index(offer.model.classes),
            after=AfterRun.of(offer),
            defences=self._defences(offer, start),
            coding=Coding.of(first.moved, first.adapted, offer.compression.bits, offer, start.summing),
            on_round=on_round,
        )
        with self._tensorboard(run, before) as write_row:
            app(grid, Context(run_id=0, node_id=0, node_config={}, state=RecordDict(), run_config={}))

    def _defences(self, offer: Offer, start: Start) -> ServerDefences:
        return ServerDefences(
            robust=offer.robust,
            summing=start.summing,
            steps=PrivateSteps.of(offer, start.first.features),
            ledgers=self._ledgers(offer),
            scores=offer.dp is None,
        )

    def _ledgers(self, offer: Offer) -> LedgerHeads | None:
        keys = {clinic.name: clinic.key for clinic in list_clinics(self.record, revoked=False)}
        return None if offer.dp is None else LedgerHeads(self.runs.parent / LEDGERS_FILE, keys)

    def _tensorboard(
        self, run: Run, history: Sequence[HistoryRow]
    ) -> AbstractContextManager[Callable[[HistoryRow], None]]:
        if self.tensorboard is None:
            return nullcontext(lambda row: None)
        return tensorboard_writer(self.tensorboard / run.folder_name, history)


def summing_of(run: Run, class_counts: Sequence[int] | None = None) -> Summing | None:
    """What the clinics approved of secure sums; ``None`` where the plan has none."""
    offer = Offer.from_text(run.offer)
    return Summing.of(offer, class_counts) if offer.privacy.is_secure else None


def is_complete(folder: Path, plan: RunPlan, rules: RoundRules) -> bool:
    """Whether the run in a folder has nothing left to do."""
    explained = not plan.offer.explain or (folder / EXPLANATIONS_FILE).exists()
    calibrated = not plan.offer.calibrate or (folder / CALIBRATION_FILE).exists()
    found = not plan.offer.lesion_finder or (folder / LESION_FINDER_FILE).exists()
    audited = not plan.offer.audit_model or (folder / MODEL_AUDIT_FILE).exists()
    if not (has_state(folder) and explained and calibrated and found and audited):
        return False
    state = load_state(folder)
    return refitted(state) or (plan.offer.refit == "none" and is_over(state, rules))


def _reason_for_early_end(folder: Path, rules: RoundRules) -> str:
    state = load_state(folder)
    done = state.round - refitted(state)
    return "" if done >= rules.rounds else f"no better model in {rules.patience} rounds"


def _prepare_folder(folder: Path, run: Run) -> None:
    make_private_folder(folder)
    if (offer := folder / OFFER_FILE).exists() and offer.read_bytes() != run.offer.encode():
        raise FederationError(
            "The run's folder has another run, which the record does not know; nothing was changed",
            where=folder,
            remedy="Restore the record from your last backup, or move the folder",
        )
    for name, text in ((OFFER_FILE, run.offer), (PLAN_FILE, run.plan)):
        write_atomically(folder / name, text.encode())
