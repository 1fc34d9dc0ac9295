"""Evaluations within a run: protocol in, predictions on disk, event in the journal."""

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import pyarrow as pa

from harness.data.dataset import DataSet
from harness.evaluation.evaluate import Walk, prepared
from harness.evaluation.predictions import result_table
from harness.evaluation.result import EvaluationResult
from harness.progress import SILENT, Progress, duration
from harness.recipes.protocol import Protocol
from harness.record.predictions import write_predictions
from harness.record.run_folder import RunFolder
from harness.record.schema import Evaluation
from harness.runner.recorder import Recorder


@dataclass
class RunEvaluator:
    """Evaluates a run's model and records each protocol once a step.

    Attributes:
        model: The network, with its current weights.
        data: The data set.
        folder: Where predictions go.
        recorder: The journal.
        steps_per_epoch: To tell epochs.
        total_steps: The recipe's last step.
        limit: Evaluate this many images, a fixed random draw of all classes.
        recorded: Evaluations that the journal has, in order; one is not repeated.
        stop_if_asked: Called with the step between batches; raises to end an
            evaluation, which is then not recorded.
        look_at: Given step and predictions of each evaluation once it is recorded.
        progress: Where it is shown how far an evaluation is.
        crops_per_s: Of the latest evaluation.
        walks: What evaluates each protocol, by its digest, kept for the whole run.
    """

    model: keras.Model
    data: DataSet
    folder: RunFolder
    recorder: Recorder
    steps_per_epoch: int
    total_steps: int
    limit: int | None
    recorded: list[Evaluation]
    stop_if_asked: Callable[[int], None]
    look_at: Callable[[int, pa.Table], None]
    progress: Progress = SILENT
    crops_per_s: float | None = None
    walks: dict[str, Walk] = field(init=False, default_factory=dict)

    def evaluate(self, step: int, protocols: tuple[Protocol, ...]) -> None:
        """Evaluate those protocols that are not recorded for this step yet."""
        for protocol in protocols:
            key = (step, protocol.digest)
            if key not in {(e.step, e.protocol_digest) for e in self.recorded}:
                event, predictions = self._evaluate_one(step, protocol)
                self.recorder.record(event)
                self.recorded.append(event)
                self.look_at(step, predictions)

    def _evaluate_one(self, step: int, protocol: Protocol) -> tuple[Evaluation, pa.Table]:
        title = f"evaluating {protocol.name} after step {step:,}"
        with self.progress.work(title, unit="images", always=True) as work:

            def batch_done(done: int, images: int) -> None:
                work.update(done, images)
                self.stop_if_asked(step)

            (result,) = self._walk(protocol).evaluate(
                weights_source=f"{self.folder.path}, after step {step}", progress=batch_done
            )
            self.crops_per_s = result.crops / result.duration_s
            work.update(result.images, text=_accuracy(result, len(self.data.classes)))
        path = self.folder.predictions(protocol.name, step)
        predictions = result_table(result, self.data, protocol, step)
        digest = write_predictions(predictions, path)
        event = Evaluation(
            time_s=self.recorder.now(),
            step=step,
            epoch=step / self.steps_per_epoch,
            final=step == self.total_steps,
            protocol=protocol,
            protocol_digest=protocol.digest,
            images=result.images,
            images_in_split=result.images_in_split,
            top1_correct=result.top1_correct,
            top5_correct=result.top5_correct,
            duration_s=result.duration_s,
            crops_per_s=self.crops_per_s,
            predictions_file=path.name,
            predictions_digest=digest,
        )
        return event, predictions

    def _walk(self, protocol: Protocol) -> Walk:
        """What evaluates this protocol; a run with many epochs would grow by one for each."""
        if protocol.digest not in self.walks:
            self.walks[protocol.digest] = prepared(
                self.model, self.data.val, (protocol,), limit=self.limit
            )
        return self.walks[protocol.digest]


def _accuracy(result: EvaluationResult, classes: int) -> str:
    """What an evaluation found, for a person; of up to five classes all are among five."""
    top5 = f", top-5 {100 * result.top5_correct / result.images:.2f} %" if classes > 5 else ""
    return (
        f"top-1 {100 * result.top1_correct / result.images:.2f} %{top5} of {result.images:,} "
        f"images in {duration(result.duration_s)}"
    )
