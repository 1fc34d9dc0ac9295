"""The predictions of an evaluation within a run, as a table and as a digest."""

import tempfile
from pathlib import Path

import keras
import pyarrow as pa

from harness.data.dataset import DataSet
from harness.evaluation.evaluate import evaluate
from harness.evaluation.result import EvaluationResult
from harness.recipes.protocol import Protocol
from harness.record.predictions import predictions_table, write_predictions
from harness.record.schema import Evaluation


def result_table(
    result: EvaluationResult, data: DataSet, protocol: Protocol, step: int
) -> pa.Table:
    """One row an image, with protocol, data and step in the metadata."""
    return predictions_table(
        list(result.image_ids),
        result.labels,
        result.top5_class,
        result.top5_probability,
        {
            "protocol": protocol.model_dump_json(),
            "data_root": data.identity.root_digest,
            "step": str(step),
        },
    )


def predictions_digest(model: keras.Model, data: DataSet, event: Evaluation) -> str:
    """Repeat a recorded evaluation; hex sha256 of the prediction file that it gives."""
    limit = None if event.complete else event.images
    result = evaluate(model, data.val, event.protocol, limit=limit)
    table = result_table(result, data, event.protocol, event.step)
    with tempfile.TemporaryDirectory() as folder:
        return write_predictions(table, Path(folder) / "predictions.parquet")
