"""The rounds of a run: exchange, aggregation, checkpoints, history."""
