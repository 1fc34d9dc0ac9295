"""One or several protocols over the images of a split, each image exactly once."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from harness.data.dataset import Split, fixed_draw
from harness.data.image_files.reading import translate_error
from harness.data.input_pipeline.pipeline import evaluation_batches
from harness.data.input_pipeline.undecodable import images_in_order, naming_batches
from harness.errors import DataError, WeightsError
from harness.evaluation.forward import Forward, View, forward_function, whole_image_function
from harness.evaluation.passes import positions_within, widest_of
from harness.evaluation.result import Collector, EvaluationResult
from harness.evaluation.whole_images import batches_by_size, images_at_once, whole_image_batches
from harness.models.folding import fold_batch_norm, fold_into
from harness.recipes.protocol import Protocol
from harness.training.device_errors import explained, is_of_device

IN_FLIGHT = 2
"""Batches whose answers are not yet read, so that a device never waits for Python."""

Progress = Callable[[int, int], None]


def evaluate(
    model: keras.Model,
    split: Split,
    protocol: Protocol,
    *,
    crops_per_batch: int = 64,
    limit: int | None = None,
    weights_source: str | None = None,
    progress: Progress | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> EvaluationResult:
    """Evaluate one protocol.

    Args:
        model: From float32 [B, H, W, C] to float32 logits [B, classes].
        split: The images.
        protocol: What the network is shown and how its answers are averaged.
        crops_per_batch: Crops that go through the network at once, over as many
            images as fit whole.
        limit: At most this many images, a fixed random draw of all classes (`fixed_draw`).
        weights_source: Where the model's weights come from, for error messages.
        progress: Called with images done and images in all, first with none done,
            then after each batch.
        now: The clock, in seconds.

    Raises:
        DataError: nothing to evaluate, a label the model has no class for, or
            an image that did not come exactly once.
        WeightsError: the network's probabilities do not sum to one.
        MachineError: the device failed or has too little memory.
    """
    (result,) = evaluate_together(
        model,
        split,
        (protocol,),
        crops_per_batch=crops_per_batch,
        limit=limit,
        weights_source=weights_source,
        progress=progress,
        now=now,
    )
    return result


def evaluate_together(
    model: keras.Model,
    split: Split,
    protocols: tuple[Protocol, ...],
    *,
    crops_per_batch: int = 64,
    limit: int | None = None,
    weights_source: str | None = None,
    progress: Progress | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> tuple[EvaluationResult, ...]:
    """Evaluate protocols that show the same crops in one pass; see `evaluate`.

    `shared_passes` makes such groups.
    """
    walk = prepared(model, split, protocols, crops_per_batch=crops_per_batch, limit=limit)
    return walk.evaluate(weights_source=weights_source, progress=progress, now=now)


@dataclass(frozen=True)
class Walk:
    """A walk over the images of a split, made once and walked any number of times.

    Each time the network has its present weights. What TensorFlow builds, the
    traced network and the pipeline, is kept: made anew it costs time, and
    memory that never comes back.

    Attributes:
        split: The images that are evaluated.
        in_split: How many the whole split has.
        protocols: What the answers are for; they show the same crops.
        begin: Starts the pipeline at the first batch.
        forward: From a batch's images to the answers, one for each protocol.
        renew: Brings the model's present weights to where `forward` has its own.
    """

    split: Split
    in_split: int
    protocols: tuple[Protocol, ...]
    begin: Callable[[], Iterable[Any]]
    forward: Forward
    renew: Callable[[], None]

    def evaluate(
        self,
        *,
        weights_source: str | None = None,
        progress: Progress | None = None,
        now: Callable[[], float] = time.perf_counter,
    ) -> tuple[EvaluationResult, ...]:
        """Walk once; arguments and errors as for `evaluate`."""
        if progress is not None:
            progress(0, len(self.split))
        self.renew()
        collectors = tuple(Collector(len(self.split)) for _ in self.protocols)
        collect = partial(_collect, collectors=collectors, source=weights_source, progress=progress)
        try:
            duration_s = _run(self.begin(), self.forward, collect, now=now)
        except tf.errors.OpError as error:
            source = weights_source or "its weights"
            raise explained(error, f"evaluation of {source}") from error
        for collector in collectors:
            collector.check()
        return tuple(
            _result(self, protocol, collector, duration_s)
            for protocol, collector in zip(self.protocols, collectors, strict=True)
        )


def prepared(
    model: keras.Model,
    split: Split,
    protocols: tuple[Protocol, ...],
    *,
    crops_per_batch: int = 64,
    limit: int | None = None,
) -> Walk:
    """Make a walk for protocols that show the same crops; see `evaluate_together`."""
    whole = len(split)
    images = _images_asked_for(whole, limit)
    if images < whole:
        split = split.taken(fixed_draw(split.labels, images))
    _check_labels(model, split)
    network, renew = model, _nothing
    if protocols[0].fold_batch_norm:
        network = fold_batch_norm(model)
        renew = partial(fold_into, network, model)
    if protocols[0].crops == "full":
        begin, forward = _whole_images(network, split, protocols[0], crops_per_batch)
    else:
        begin, forward = _crops(network, split, protocols, crops_per_batch)
    return Walk(split, whole, protocols, begin, forward, renew)


def _nothing() -> None:
    """The forward function has the model's own variables."""


def _crops(
    model: keras.Model, split: Split, protocols: tuple[Protocol, ...], crops_per_batch: int
) -> tuple[Callable[[], Iterable[Any]], Forward]:
    widest = widest_of(protocols)
    per_batch = min(max(1, crops_per_batch // widest.views), len(split))
    batches = evaluation_batches(split, widest, images_per_batch=per_batch)
    images_of = images_in_order(len(split), per_batch)
    begin = partial(naming_batches, batches, split, images_of, widest.decoder)
    return begin, forward_function(model, tuple(_view(p, widest) for p in protocols))


def _whole_images(
    model: keras.Model, split: Split, protocol: Protocol, crops_per_batch: int
) -> tuple[Callable[[], Iterable[Any]], Forward]:
    per_batch = images_at_once(crops_per_batch, protocol)
    batches = whole_image_batches(split, protocol, images_per_batch=per_batch)
    groups = batches_by_size(split, per_batch)
    begin = partial(naming_batches, batches, split, groups.__getitem__, protocol.decoder)
    return begin, whole_image_function(model, protocol)


def _view(protocol: Protocol, widest: Protocol) -> View:
    places = positions_within(protocol, widest)
    assert places is not None  # noqa: S101 - `shared_passes` has asked
    return View(places if len(places) < widest.views else None, protocol.average)


def _run(
    batches: Any,
    forward: Forward,
    collect: Callable[[Any, Any, int], int],
    *,
    now: Callable[[], float],
) -> float:
    """Feed the network; returns the seconds it took without the first batch's tracing.

    `collect` takes a batch, its answers and the images done before, and returns
    the images done.
    """
    pending: deque[tuple[Any, Any]] = deque()
    done, traced_s, began = 0, 0.0, now()
    for batch in _elements(batches):
        if not done and not pending:
            before = now()
            forward.get_concrete_function(batch["image"])  # type: ignore[attr-defined]  # traced
            traced_s = now() - before
        pending.append((batch, forward(batch["image"])))
        if len(pending) > IN_FLIGHT:
            done = collect(*pending.popleft(), done)
    while pending:
        done = collect(*pending.popleft(), done)
    return now() - began - traced_s


def _elements(batches: Any) -> Iterator[Any]:
    """The pipeline's elements; its errors, unless the device's, as those of the data."""
    iterator = iter(batches)
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            if is_of_device(error):
                raise
            raise translate_error(error) from error


def _collect(
    batch: Any,
    answers: tuple[tuple[Any, Any, Any], ...],
    done: int,
    *,
    collectors: tuple[Collector, ...],
    source: str | None,
    progress: Progress | None,
) -> int:
    mask = batch["mask"].numpy()
    taken = 0
    for collector, (classes, probabilities, total) in zip(collectors, answers, strict=True):
        check_sums(total.numpy()[mask], source)
        taken = collector.add(
            batch["index"].numpy(), mask, batch["label"].numpy(),
            (classes.numpy(), probabilities.numpy()),
        )  # fmt: skip
    if progress is not None:
        progress(done + taken, len(collectors[0].seen))
    return done + taken


def check_sums(totals: np.ndarray, source: str | None = None) -> None:
    """Raise `WeightsError` unless probabilities sum to one within 0.001.

    Args:
        totals: float32 [n], the sum of each image's probabilities.
        source: Where the network's weights come from, if known.
    """
    wrong = ~(np.abs(totals - 1.0) <= 1e-3)
    if wrong.any():
        raise WeightsError(
            f"the network's probabilities sum to {totals[wrong][0]:g}",
            where=source,
            expected="1, for every image",
            remedy="either the weights are not finite or not those of this network (import them "
            "again), or activations exceed a 16-bit compute type (evaluate in float32)",
        )


def _images_asked_for(whole: int, limit: int | None) -> int:
    images = whole if limit is None else min(limit, whole)
    if images < 1:
        raise DataError(
            "there are no images to evaluate",
            expected="at least one",
            remedy=f"check the data folder, or ask for more than {limit} images"
            if limit is not None
            else "check the data folder",
        )
    return images


def _check_labels(model: keras.Model, split: Split) -> None:
    classes = int(model.output_shape[-1])
    labels = split.labels
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"a label is {int(labels.max())} and the model has {classes} classes",
            expected=f"labels from 0 to {classes - 1}",
            remedy="evaluate on the data the model was trained for",
        )


def _result(
    walk: Walk, protocol: Protocol, collector: Collector, duration_s: float
) -> EvaluationResult:
    return EvaluationResult(
        protocol=protocol,
        image_ids=tuple(walk.split.ids),
        labels=collector.labels,
        top5_class=collector.classes,
        top5_probability=collector.probabilities,
        images_in_split=walk.in_split,
        crops=len(collector.seen) * protocol.views,
        duration_s=duration_s,
    )
