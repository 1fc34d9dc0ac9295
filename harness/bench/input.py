"""Throughput of the input pipeline, with its ceiling and the reference's way beside it.

Everything is measured in alternation within one process: machines drift by
10 to 15 % within minutes, so ratios are taken round by round.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from harness.bench.input_stages import (
    ONE_RESIZE,
    TEN_CROPS,
    InputLoad,
    batch_size,
    images_of,
    own_ways,
    reference_ways,
)
from harness.bench.summary import MedianRange, Ratio
from harness.data.image_files.reading import translate_error
from harness.data.input_pipeline.mapping import PREFETCHED_BATCHES, parallel_calls
from harness.data.input_pipeline.undecodable import naming_batches
from harness.data.loose_files import loose_split
from harness.data.manifest import DESCRIPTION
from harness.data.opening import load
from harness.measure.machine import usable_cores
from harness.recipes.protocol import APM5_NORMALISATION, Normalisation, Protocol, ten_crop
from harness.recipes.recipe import Augmentation

WARM_UP_BATCHES = PREFETCHED_BATCHES + 2
"""Batches thrown away at the start of a round: those that were made while others ran."""
NEEDED_WAYS = ("bare decode", "up to the crop", "pipeline", "reference")


@dataclass(frozen=True)
class InputBench:
    """The result; rates in images/s with their spread, ratios with a 95 % interval.

    Attributes:
        images_per_s: the whole training pipeline.
        bare_decode_images_per_s: reading and fully decoding the same files.
        share_of_bare_decode: the per-image path up to the crop over bare decoding.
        ratio_vs_reference: training pipeline over the reference's way, or None.
        evaluation_ratio_vs_reference: the same for ten crops, or None.
        one_resize_ratio_vs_reference: the same with `geometry: one_resize`, or None.
        ways: every way and stage that was measured.
        rounds: alternations.
        images: files in use.
        batch: images a batch.
        cores: cores that this process may use.
        parallel_calls: examples made at once.
    """

    images_per_s: MedianRange
    images_per_s_per_core: float
    bare_decode_images_per_s: MedianRange
    share_of_bare_decode: Ratio
    ratio_vs_reference: Ratio | None
    evaluation_ratio_vs_reference: Ratio | None
    one_resize_ratio_vs_reference: Ratio | None
    ways: dict[str, MedianRange]
    rounds: int
    images: int
    batch: int
    cores: int
    parallel_calls: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def bench_input(
    data: Path,
    *,
    augmentation: Augmentation,
    normalisation: Normalisation = APM5_NORMALISATION,
    protocol: Protocol | None = None,
    against_reference: bool = False,
    rounds: int = 6,
    images_per_round: int = 1_024,
    image_size: int = 224,
    batch: int = 64,
    warm_up_images: int = 1_024,
    only: tuple[str, ...] = (),
    now: Callable[[], float] = time.perf_counter,
) -> InputBench:
    """Measure the input pipeline on a prepared data set or any folder of JPEG files.

    Args:
        data: the folder.
        augmentation: of the recipe to be measured.
        normalisation: the same.
        protocol: whose evaluation input is measured; None takes ten crops.
        against_reference: measure the reference's way (OpenCV) too.
        rounds: alternations between the ways.
        images_per_round: images of each way in each round.
        image_size: side of the crops.
        batch: images a batch.
        warm_up_images: images of each way before the first round; renderers for
            all window sizes are compiled meanwhile.
        only: ways to measure beside those that the ratios need; empty takes all.
        now: the clock, seconds.

    Raises:
        DataError: there are no usable images, or one changed or does not decode.
        RecipeError: the images have other channels, or a crop would not fit.
        UsageError: the reference's way is asked for, which knows no padding, or
            without OpenCV.
    """
    split = load(data).train if (data / DESCRIPTION).exists() else loose_split(data)
    work = InputLoad(split, augmentation, normalisation, protocol or ten_crop(), image_size, batch)
    datasets = own_ways(work)
    if against_reference:
        datasets |= reference_ways(work)
    wanted = {*only, *NEEDED_WAYS} if only else set(datasets)
    iterators: dict[str, Iterator[Any]] = {
        name: naming_batches(dataset, split, images_of(name, work), augmentation.decoder)
        for name, dataset in datasets.items()
        if name in wanted
    }
    try:
        for iterator in iterators.values():
            drop(iterator, warm_up_images // batch)
        measured = alternate(iterators, rounds, max(images_per_round // batch, 1), batch, now)
    except tf.errors.OpError as error:
        raise translate_error(error) from error
    return _result(measured, work, rounds)


def alternate(
    iterators: dict[str, Iterator[Any]],
    rounds: int,
    batches: int,
    batch: int,
    now: Callable[[], float],
) -> dict[str, list[float]]:
    """Images/s of each way in each round."""
    sizes = {name: batch_size(name, batch) for name in iterators}
    measured: dict[str, list[float]] = {name: [] for name in iterators}
    for _ in range(rounds):
        for name, iterator in iterators.items():
            drop(iterator, WARM_UP_BATCHES)
            scaled = max(batches * batch // sizes[name], 1)
            start_s = now()
            drop(iterator, scaled)
            measured[name].append(scaled * sizes[name] / (now() - start_s))
    return measured


def render(bench: InputBench) -> str:
    """The result as a plain table."""
    settings = (
        f"{bench.images:,} images, batch {bench.batch}, {bench.cores} cores, "
        f"{bench.parallel_calls} calls at once, {bench.rounds} alternations"
    )
    lines = [
        settings,
        f"{'way':32} {'images/s':>9} {'lowest':>7} {'highest':>7} {'per core':>9}",
    ]
    for name, rate in bench.ways.items():
        lines.append(
            f"{name:32} {rate.median:9,.0f} {rate.low:7,.0f} {rate.high:7,.0f} "
            f"{rate.median / bench.cores:9,.0f}"
        )
    lines.append("ratios, with a 95 % interval:")
    ratios = {
        "share of bare decode": bench.share_of_bare_decode,
        "pipeline / reference": bench.ratio_vs_reference,
        "one_resize / reference": bench.one_resize_ratio_vs_reference,
        "evaluation / reference": bench.evaluation_ratio_vs_reference,
    }
    for name, ratio in ratios.items():
        if ratio is not None:
            lines.append(f"{name:32} {ratio.text():>9}")
    return "\n".join(lines)


def _result(measured: dict[str, list[float]], work: InputLoad, rounds: int) -> InputBench:
    def ratio(way: str, of: str) -> Ratio | None:
        if way not in measured or of not in measured:
            return None
        return Ratio.of(measured[of], measured[way])

    ways = {name: MedianRange.of(values) for name, values in measured.items()}
    share = ratio("up to the crop", "bare decode")
    if share is None:
        raise ValueError("both are always measured")
    cores = usable_cores()
    return InputBench(
        images_per_s=ways["pipeline"],
        images_per_s_per_core=ways["pipeline"].median / cores,
        bare_decode_images_per_s=ways["bare decode"],
        share_of_bare_decode=share,
        ratio_vs_reference=ratio("pipeline", "reference"),
        evaluation_ratio_vs_reference=ratio(TEN_CROPS, f"reference {TEN_CROPS}"),
        one_resize_ratio_vs_reference=ratio(ONE_RESIZE, "reference"),
        ways=ways,
        rounds=rounds,
        images=len(work.split),
        batch=work.batch,
        cores=cores,
        parallel_calls=parallel_calls(),
    )


def drop(iterator: Iterator[Any], batches: int) -> None:
    """Take so many batches and do nothing with them."""
    for _ in range(batches):
        next(iterator)
