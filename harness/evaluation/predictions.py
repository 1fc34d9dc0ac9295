"""The predictions of an evaluation within a run, as a table and as a digest."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa

from harness.data.dataset import DataSet, Split, fixed_draw
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
    """Repeat a recorded evaluation; hex sha256 of the prediction file that it gives.

    A part of the images was the first ones up to version 0.2.0, a draw of all classes since.
    """
    if event.complete:
        return _digest(model, data, data.val, event)
    parts = (fixed_draw(data.val.labels, event.images), np.arange(event.images))
    found = [_digest(model, data, data.val.taken(part), event) for part in parts]
    return next((one for one in found if one == event.predictions_digest), found[0])


def _digest(model: keras.Model, data: DataSet, split: Split, event: Evaluation) -> str:
    table = result_table(evaluate(model, split, event.protocol), data, event.protocol, event.step)
    with tempfile.TemporaryDirectory() as folder:
        return write_predictions(table, Path(folder) / "predictions.parquet")
