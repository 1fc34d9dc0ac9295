"""`harness bench evaluate`: an evaluation beside the bare network and the machine's peak."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.bench.summary import MedianRange, Ratio
from harness.errors import DataError, MachineError, UsageError
from harness.recipes.protocol import Protocol

GENERATED_SIZE = (375, 500)
CROPS_PER_BATCH = 60
FEW_BATCHES, MANY_BATCHES = 1, 4
GEMM_S = 1.0

Now = Callable[[], float]


@dataclass(frozen=True)
class EvaluationRound:
    """One alternation of the measurements.

    Attributes:
        crops_per_s: Of the whole evaluation, input included.
        bare_crops_per_s: Of the network alone on crops in memory, folded where the protocol folds.
        gemm_flops_per_s: Of a matrix product; the better of one before and one after the rest.
        unfolded_crops_per_s: Of the network alone before folding; None where nothing is folded.
    """

    crops_per_s: float
    bare_crops_per_s: float
    gemm_flops_per_s: float
    unfolded_crops_per_s: float | None = None


@dataclass(frozen=True)
class EvaluationBenchmark:
    """What all rounds gave.

    Attributes:
        model: Name in the catalogue.
        protocol: What was evaluated.
        crops_per_batch: Crops that went through the network at once.
        flops_per_crop: Counted, before folding.
        rounds: The measurements.
    """

    model: str
    protocol: str
    crops_per_batch: int
    flops_per_crop: float
    rounds: tuple[EvaluationRound, ...]

    def share_of_gemm_peak(self) -> MedianRange:
        """Of the whole evaluation."""
        return MedianRange.of(
            [r.crops_per_s * self.flops_per_crop / r.gemm_flops_per_s for r in self.rounds]
        )

    def share_of_bare_network(self) -> Ratio:
        """The whole evaluation's rate over the bare network's."""
        return Ratio.of(self._bare, [r.crops_per_s for r in self.rounds])

    def gain_of_folding(self) -> Ratio | None:
        """The folded network's rate over the unfolded one's; None where nothing is folded."""
        unfolded = [r.unfolded_crops_per_s for r in self.rounds if r.unfolded_crops_per_s]
        return Ratio.of(unfolded, self._bare) if unfolded else None

    @property
    def _bare(self) -> list[float]:
        return [r.bare_crops_per_s for r in self.rounds]

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        folding = self.gain_of_folding()
        return {
            "benchmark": "evaluate",
            "model": self.model,
            "protocol": self.protocol,
            "crops_per_batch": self.crops_per_batch,
            "crops_per_s": MedianRange.of([r.crops_per_s for r in self.rounds]).document(),
            "bare_crops_per_s": MedianRange.of(self._bare).document(),
            "share_of_gemm_peak": self.share_of_gemm_peak().document(),
            "share_of_bare_network": self.share_of_bare_network().document(),
            "gain_of_folding": folding and folding.document(),
        }

    def text(self) -> str:
        """For a person; a range in brackets is a 95 % interval."""
        document, folding = self.document(), self.gain_of_folding()
        setting = f"{self.protocol}, {self.crops_per_batch} crops at once"
        count = f"{len(self.rounds)} round{'s' if len(self.rounds) > 1 else ''}"
        lines = [
            f"{self.model}, {setting}, {count}",
            f"whole evaluation      {document['crops_per_s']['median']:8.1f} crops/s",
            f"bare network          {document['bare_crops_per_s']['median']:8.1f} crops/s",
            f"of the GEMM peak      {100 * self.share_of_gemm_peak().median:8.0f} %",
            f"over the bare network     {self.share_of_bare_network().text()}",
        ]
        if folding is not None:
            lines.append(f"folded over unfolded      {folding.text()}")
        return "\n".join(lines)


def bench_evaluate(
    *,
    model: str,
    protocol: Protocol,
    data: Path | None = None,
    crops_per_batch: int = CROPS_PER_BATCH,
    rounds: int = 3,
    classes: int = 1000,
    now: Now = time.perf_counter,
) -> EvaluationBenchmark:
    """Measure an evaluation with random weights; the process is pinned already.

    Args:
        model: Name in the catalogue.
        protocol: What the network is shown, and whether batch normalisation is folded.
        data: A data set; None generates photographs of ImageNet's usual size.
        crops_per_batch: Crops that go through the network at once, whole images of them.
        rounds: Repetitions, the parts in alternation.
        classes: Classes of the network.
        now: The clock.

    Raises:
        UsageError: a protocol without fixed crops.
        DataError: fewer validation images than the measurement takes.
        MachineError: the longer evaluation took no longer than the shorter one.
    """
    from harness.measure.operations import forward_flops, multiply_adds
    from harness.models.build import build_model
    from harness.recipes.recipe import Model

    if protocol.crop_size is None:
        raise UsageError(
            f"{protocol.name} has no fixed crop size", expected="center_crop or ten_crop"
        )
    spec = Model(name=model, image_size=protocol.crop_size)
    channels = protocol.normalisation.channel_count
    network = build_model(spec, classes=classes, seed=0, channels=channels)
    flops = forward_flops(multiply_adds(network, protocol.crop_size), 1)
    with tempfile.TemporaryDirectory() as scratch:
        split = _split(data, Path(scratch), images_needed(protocol, crops_per_batch))
        measure = EvaluationMeasurement(network, split, protocol, crops_per_batch, now)
        measured = tuple(measure.round() for _ in range(rounds))
    return EvaluationBenchmark(model, protocol.name, measure.crops_at_once, float(flops), measured)


def images_needed(protocol: Protocol, crops_per_batch: int) -> int:
    """Images of the longer evaluation; every batch of it is full."""
    return MANY_BATCHES * _images_at_once(protocol, crops_per_batch)


def _images_at_once(protocol: Protocol, crops_per_batch: int) -> int:
    return max(1, crops_per_batch // protocol.views)


class EvaluationMeasurement:
    """Measures one network on one split, round by round.

    Args:
        network: Before folding.
        split: At least `images_needed` images.
        protocol: With a fixed crop size.
        crops_per_batch: As asked for.
        now: The clock.
    """

    def __init__(
        self, network: Any, split: Any, protocol: Protocol, crops_per_batch: int, now: Now
    ) -> None:
        from harness.models.folding import fold_batch_norm

        self._network, self._split, self._protocol = network, split, protocol
        self._asked, self._now = crops_per_batch, now
        self._images_at_once = _images_at_once(protocol, crops_per_batch)
        self.crops_at_once = self._images_at_once * protocol.views
        fold = protocol.fold_batch_norm
        self._bare = _compiled(fold_batch_norm(network) if fold else network)
        self._unfolded = _compiled(network) if fold else None

    def round(self) -> EvaluationRound:
        """Each part once."""
        from harness.measure.peaks import measure_gemm

        before = measure_gemm(seconds=GEMM_S, now=self._now)
        bare = self._rate(self._bare)
        unfolded = self._unfolded and self._rate(self._unfolded)
        whole = self.whole_rate()
        after = measure_gemm(seconds=GEMM_S, now=self._now)
        return EvaluationRound(
            crops_per_s=whole,
            bare_crops_per_s=bare,
            gemm_flops_per_s=max(before, after),
            unfolded_crops_per_s=unfolded,
        )

    def whole_rate(self) -> float:
        """Crops a second from the difference of a long and a short evaluation.

        What both spend on opening the pipeline and on its first batch cancels.
        """
        (few_crops, few_s), (many_crops, many_s) = (
            self._evaluated(n) for n in (FEW_BATCHES, MANY_BATCHES)
        )
        if many_s <= few_s:
            raise MachineError(
                f"{many_crops} crops took {many_s:.3f} s and {few_crops} took {few_s:.3f} s",
                expected="more time for more crops",
                remedy="give more --crops-per-batch, or wait until the machine is idle",
            )
        return (many_crops - few_crops) / (many_s - few_s)

    def _evaluated(self, batches: int) -> tuple[int, float]:
        from harness.evaluation.evaluate import evaluate

        result = evaluate(
            self._network,
            self._split,
            self._protocol,
            crops_per_batch=self._asked,
            limit=batches * self._images_at_once,
            now=self._now,
        )
        return result.crops, result.duration_s

    def _rate(self, compiled: Any) -> float:
        import tensorflow as tf

        size, channels = self._protocol.crop_size, self._protocol.normalisation.channel_count
        crops = tf.random.stateless_normal((self.crops_at_once, size, size, channels), (0, 0))
        compiled.get_concrete_function(crops)
        compiled(crops).numpy()
        begun = self._now()
        repeats = MANY_BATCHES - FEW_BATCHES
        for _ in range(repeats):
            compiled(crops).numpy()
        return repeats * self.crops_at_once / (self._now() - begun)


def _compiled(network: Any) -> Any:
    import tensorflow as tf

    return tf.function(lambda image: network(image, training=False))


def _split(data: Path | None, scratch: Path, images: int) -> Any:
    """The validation split of a data set with at least this many images, or of generated ones."""
    from harness.data.opening import open_dataset

    folder = data
    if folder is None:
        folder = scratch / "photographs"
        write_photographs(folder, images)
    split = open_dataset(folder, manifests=scratch / "manifests").val
    if len(split) < images:
        raise DataError(
            f"the benchmark needs {images} validation images and there are {len(split)}",
            where=str(folder),
            expected=f"{MANY_BATCHES} full batches",
            remedy="give fewer --crops-per-batch, or no --data to generate photographs",
        )
    return split


def write_photographs(folder: Path, count: int) -> None:
    """Write JPEG files in ImageNet's layout, of its usual size and a photograph's detail.

    Two classes with `count` validation images in all, and one training image each.
    """
    names = [f"train/class{i}/train{i}.jpg" for i in range(2)]
    names += [f"val/class{i % 2}/val{i:04}.jpg" for i in range(count)]
    generator = np.random.default_rng(0)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        _photograph(generator).save(folder / name, quality=92)


def _photograph(generator: np.random.Generator) -> Image.Image:
    height, width = GENERATED_SIZE
    coarse = Image.fromarray(generator.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    grain = generator.normal(0, 8, smooth.shape)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))
