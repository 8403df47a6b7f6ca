"""Flower's own simulation on Ray, FedAvg: CLINICS WEIGHTS ROUNDS; a run is a measurement.

The clinics return the weights that they get, as ours do. The first round is not timed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import numpy as np

from benchmarks.process_tree import resident_mb
from benchmarks.workers.answering import answer


def prepare() -> Callable[[], dict[str, float]]:
    import dermafed.shared  # noqa: F401  sets the environment in which Flower and Ray call nobody

    return lambda: measure(*map(int, sys.argv[1:]))


def measure(clinics: int, size: int, rounds: int) -> dict[str, float]:
    """Seconds of a round, and the memory of all processes at the end."""
    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    client, server = ClientApp(), ServerApp()
    marks: list[float] = []
    memory: list[float] = []

    @client.train()
    def train(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"loss": 1.0, "num-examples": 64})
        return Message(
            RecordDict({"arrays": message.content["arrays"], "metrics": metrics}), reply_to=message
        )

    @client.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        metrics = MetricRecord({"loss": 1.0, "accuracy": 0.5, "num-examples": 64})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    def mark(round: int, arrays: ArrayRecord) -> None:
        marks.append(time.perf_counter())
        if round == rounds:
            memory.append(resident_mb(os.getpid()))

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        weights = ArrayRecord([np.zeros(size, np.float32)])
        all_of_them = {
            "min_available_nodes": clinics,
            "min_train_nodes": clinics,
            "min_evaluate_nodes": clinics,
        }
        FedAvg(**all_of_them).start(grid, weights, num_rounds=rounds, evaluate_fn=mark)

    ray = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"log_to_driver": False}}
    run_simulation(server_app=server, client_app=client, num_supernodes=clinics, backend_config=ray)
    return {"seconds a round": (marks[-1] - marks[1]) / (rounds - 1), "MB": memory[0]}


if __name__ == "__main__":
    answer(prepare)
