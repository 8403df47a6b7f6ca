"""Flower's FedAvg and clients that return the weights that they get, one array per layer."""

import json
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

client = ClientApp()
server = ServerApp()


@client.train()
def train(message: Message, context: Context) -> Message:
    weights = message.content["arrays"].to_numpy_ndarrays()
    metrics = MetricRecord({"loss": 1.0, "num-examples": 64})
    return Message(RecordDict({"arrays": ArrayRecord(weights), "metrics": metrics}), reply_to=message)


@client.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    message.content["arrays"].to_numpy_ndarrays()
    metrics = MetricRecord({"loss": 1.0, "accuracy": 0.5, "num-examples": 64})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)


@server.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    clinics, marks = int(config["clinics"]), Path(str(config["marks"]))
    random = np.random.default_rng(0)
    shapes = json.loads(Path(str(config["shapes"])).read_text())
    weights = [random.normal(size=shape).astype(np.float32) for shape in shapes]

    def mark(round: int, arrays: ArrayRecord) -> None:
        with marks.open("a") as file:
            file.write(f"{round}\n")

    strategy = FedAvg(min_available_nodes=clinics, min_train_nodes=clinics, min_evaluate_nodes=clinics)
    strategy.start(grid, ArrayRecord(weights), num_rounds=int(config["rounds"]), evaluate_fn=mark)
