"""`harness bench evaluate`: an evaluation beside the bare network and the machine's peak."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.errors import UsageError
from harness.recipes.protocol import Protocol
from harness.workflows.bench_step import named, spread

GENERATED_IMAGES = 64
GENERATED_SIZE = (375, 500)
FEW_BATCHES, MANY_BATCHES = 1, 4

Now = Callable[[], float]


@dataclass(frozen=True)
class EvaluationRound:
    """One alternation of the measurements.

    Attributes:
        crops_per_s: Of the whole evaluation, input included.
        bare_crops_per_s: Of the network alone on crops in memory.
        gemm_flops_per_s: Of a matrix product.
    """

    crops_per_s: float
    bare_crops_per_s: float
    gemm_flops_per_s: float


@dataclass(frozen=True)
class EvaluationBenchmark:
    """What all rounds gave.

    Attributes:
        model: Name in the catalogue.
        protocol: What was evaluated.
        crops_per_batch: Crops that went through the network at once.
        flops_per_crop: Counted.
        rounds: The measurements.
    """

    model: str
    protocol: str
    crops_per_batch: int
    flops_per_crop: float
    rounds: tuple[EvaluationRound, ...]

    def share_of_gemm_peak(self) -> tuple[float, float, float]:
        """Of the whole evaluation; median, lowest and highest."""
        return spread(
            [r.crops_per_s * self.flops_per_crop / r.gemm_flops_per_s for r in self.rounds]
        )

    def share_of_bare_network(self) -> tuple[float, float, float]:
        """The whole evaluation's rate over the bare network's; median, lowest and highest."""
        return spread([r.crops_per_s / r.bare_crops_per_s for r in self.rounds])

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        return {
            "benchmark": "evaluate",
            "model": self.model,
            "protocol": self.protocol,
            "crops_per_batch": self.crops_per_batch,
            "crops_per_s": named(spread([r.crops_per_s for r in self.rounds])),
            "bare_crops_per_s": named(spread([r.bare_crops_per_s for r in self.rounds])),
            "share_of_gemm_peak": named(self.share_of_gemm_peak()),
            "share_of_bare_network": named(self.share_of_bare_network()),
        }

    def text(self) -> str:
        """For a person."""
        document = self.document()
        setting = f"{self.protocol}, {self.crops_per_batch} crops at once"
        lines = (
            f"{self.model}, {setting}, {len(self.rounds)} rounds",
            f"whole evaluation      {document['crops_per_s']['median']:8.1f} crops/s",
            f"bare network          {document['bare_crops_per_s']['median']:8.1f} crops/s",
            f"of the GEMM peak      {100 * self.share_of_gemm_peak()[0]:8.0f} %",
            f"of the bare network   {100 * self.share_of_bare_network()[0]:8.0f} %",
        )
        return "\n".join(lines)


def bench_evaluate(
    *,
    model: str,
    protocol: Protocol,
    data: Path | None = None,
    crops_per_batch: int = 60,
    rounds: int = 3,
    classes: int = 1000,
    now: Now = time.perf_counter,
) -> EvaluationBenchmark:
    """Measure an evaluation with random weights; the process is pinned already.

    Args:
        model: Name in the catalogue.
        protocol: What the network is shown.
        data: A data set; None generates photographs of ImageNet's usual size.
        crops_per_batch: Crops that go through the network at once.
        rounds: Repetitions, the parts in alternation.
        classes: Classes of the network.
        now: The clock.

    Raises:
        UsageError: a protocol without fixed crops.
    """
    from harness.measure.operations import forward_flops, multiply_adds
    from harness.models.build import build_model
    from harness.recipes.recipe import Model

    if protocol.crop_size is None:
        raise UsageError(
            f"{protocol.name} has no fixed crop size", expected="center_crop or ten_crop"
        )
    network = build_model(Model(name=model, image_size=protocol.crop_size), classes=classes, seed=0)
    flops = forward_flops(multiply_adds(network, protocol.crop_size), 1)
    with tempfile.TemporaryDirectory() as scratch:
        split = _split(data, Path(scratch))
        measure = _Measurement(network, split, protocol, crops_per_batch, now)
        measured = tuple(measure.round() for _ in range(rounds))
    return EvaluationBenchmark(model, protocol.name, crops_per_batch, float(flops), measured)


@dataclass
class _Measurement:
    network: Any
    split: Any
    protocol: Protocol
    crops_per_batch: int
    now: Now
    bare: Any = None

    def round(self) -> EvaluationRound:
        from harness.measure.peaks import measure_gemm

        return EvaluationRound(
            bare_crops_per_s=self._bare_rate(),
            crops_per_s=self._whole_rate(),
            gemm_flops_per_s=measure_gemm(seconds=1.0, now=self.now),
        )

    def _whole_rate(self) -> float:
        """From the difference of a long and a short evaluation: tracing is in both."""
        (few_crops, few_s), (many_crops, many_s) = (
            self._evaluated(n) for n in (FEW_BATCHES, MANY_BATCHES)
        )
        return (many_crops - few_crops) / (many_s - few_s)

    def _evaluated(self, batches: int) -> tuple[int, float]:
        from harness.evaluation.evaluate import crops_an_image, evaluate

        images = batches * max(1, self.crops_per_batch // crops_an_image(self.protocol))
        result = evaluate(
            self.network,
            self.split,
            self.protocol,
            crops_per_batch=self.crops_per_batch,
            limit=min(images, len(self.split)),
            now=self.now,
        )
        return result.crops, result.duration_s

    def _bare_rate(self) -> float:
        import tensorflow as tf

        size = self.protocol.crop_size
        crops = tf.random.stateless_normal((self.crops_per_batch, size, size, 3), (0, 0))
        if self.bare is None:
            self.bare = tf.function(lambda image: self.network(image, training=False))
            self.bare(crops)
        begun = self.now()
        repeats = MANY_BATCHES - FEW_BATCHES
        for _ in range(repeats):
            self.bare(crops).numpy()
        return repeats * self.crops_per_batch / (self.now() - begun)


def _split(data: Path | None, scratch: Path) -> Any:
    from harness.data.opening import open_dataset

    folder = data
    if folder is None:
        folder = scratch / "photographs"
        write_photographs(folder, GENERATED_IMAGES)
    return open_dataset(folder, manifests=scratch / "manifests").val


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
