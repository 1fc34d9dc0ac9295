"""The predictions of an evaluation within a run, as a table and as a digest."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa

from harness.data.dataset import DataSet, fixed_draw
from harness.evaluation.evaluate import Walk, prepared
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


@dataclass
class RepeatedEvaluations:
    """Repeats recorded evaluations with a network's present weights.

    Attributes:
        model: The network.
        data: The run's data.
        walks: What evaluates each protocol on each part of the images, kept for all of them.
    """

    model: keras.Model
    data: DataSet
    walks: dict[tuple[str, int, bool], Walk] = field(default_factory=dict)

    def equal(self, event: Evaluation) -> bool:
        """Whether an evaluation gives the recorded counts and, by its sha256, prediction file.

        A part of the images was the first ones up to version 0.2.0, a draw of all classes since.
        """
        ways = (True,) if event.complete else (True, False)
        return any(self._is_equal(event, drawn=drawn) for drawn in ways)

    def _is_equal(self, event: Evaluation, *, drawn: bool) -> bool:
        (result,) = self._walk(event, drawn=drawn).evaluate()
        found = (result.images, result.top1_correct, result.top5_correct)
        if found != (event.images, event.top1_correct, event.top5_correct):
            return False
        table = result_table(result, self.data, event.protocol, event.step)
        with tempfile.TemporaryDirectory() as folder:
            digest = write_predictions(table, Path(folder) / "predictions.parquet")
        return event.predictions_digest in (None, digest)

    def _walk(self, event: Evaluation, *, drawn: bool) -> Walk:
        key = (event.protocol_digest, event.images, drawn)
        if key not in self.walks:
            split, n = self.data.val, event.images
            if not event.complete:
                split = split.taken(fixed_draw(split.labels, n) if drawn else np.arange(n))
            self.walks[key] = prepared(self.model, split, (event.protocol,))
        return self.walks[key]
