"""`harness bench step`: a training step beside its ceiling and beside other ways to take it.

Every variant runs in a process of its own, because TensorFlow's flags bind at
its import. The variants of a round run one after the other, in an order that
moves on by one each round, so that a slow minute of the machine hits each of
them alike; ratios are taken within rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from harness.bench.step_job import MeasuredStep, StepJob
from harness.bench.step_process import measure_in_own_process
from harness.bench.summary import MedianRange, Ratio
from harness.errors import UsageError
from harness.record.step_times import StepTimes, summarise

ROUNDS = 5
AGAINST: dict[str, tuple[str, ...]] = {
    "reference": ("reference", "reference-onednn", "plain-keras", "ours"),
    "keras-fit": ("keras-fit", "ours"),
    "defaults": ("defaults", "ours"),
    "nothing": ("ours",),
}
RATIO_NAMES = {
    "reference": "ratio_vs_reference",
    "reference-onednn": "ratio_vs_reference_onednn",
    "plain-keras": "ratio_vs_plain_keras",
    "keras-fit": "ratio_vs_keras_fit",
    "defaults": "ratio_vs_defaults",
}
TITLES = {
    "reference": "reference as shipped (no oneDNN)",
    "reference-onednn": "reference with oneDNN",
    "plain-keras": "plain Keras layers in our step",
    "keras-fit": "keras.applications under Model.fit",
    "defaults": "ours without the options given",
    "ours": "ours",
}
DEFAULTS = {"compute": "float32", "xla": False, "steps_per_call": 1, "threads": None}
"""What `--against defaults` takes back."""
KERAS_FIT_MODEL = "keras-resnet50v2"
"""The catalogue's name of the network that `keras-fit` trains, so that both train the same."""

Measure = Callable[[StepJob], MeasuredStep]
Say = Callable[[str], None]


@dataclass(frozen=True)
class StepBenchmark:
    """What all rounds gave.

    Attributes:
        job: Network, batch and arithmetic; its variant is "ours".
        rounds: Per round, the measurements by variant.
        ratios: Ours over another variant, images a second, by variant.
    """

    job: StepJob
    rounds: tuple[dict[str, MeasuredStep], ...]
    ratios: dict[str, Ratio]

    @property
    def variants(self) -> tuple[str, ...]:
        """In the order of the table."""
        return tuple(name for name in TITLES if name in self.rounds[0])

    def rate(self, variant: str) -> MedianRange:
        """Images a second of a variant over the rounds."""
        return MedianRange.of([r[variant].images_per_s for r in self.rounds])

    def times(self, variant: str) -> StepTimes:
        """Counted steps of all rounds; their images lie in memory, so no step waits for data."""
        steps = [t for r in self.rounds for t in r[variant].step_time_s]
        return summarise(steps, images=self.job.batch)

    def share(self, variant: str) -> MedianRange:
        """Share of the matrix product's peak over the rounds.

        The peak is the best that any process of the same round reached in the
        same arithmetic: a variant without oneDNN is held against what the machine can do.
        """
        return MedianRange.of([_share(r, variant) for r in self.rounds])

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        head = {
            "benchmark": "step",
            "job": self.job.model_dump(exclude={"variant"}),
            "images_per_s": self.rate("ours").document(),
            "step_time": self.times("ours").document(),
            "share_of_gemm_peak": self.share("ours").document(),
        }
        ratios = {RATIO_NAMES[name]: ratio.document() for name, ratio in self.ratios.items()}
        variants = {
            name: {
                "images_per_s": self.rate(name).document(),
                "share_of_gemm_peak": self.share(name).document(),
                "step_time": self.times(name).document(),
                "onednn": self.rounds[0][name].onednn,
            }
            for name in self.variants
        }
        rounds = [{k: m.model_dump(mode="json") for k, m in r.items()} for r in self.rounds]
        return {**head, **ratios, "variants": variants, "rounds": rounds}

    def text(self) -> str:
        """A table for a person; ratios with their 95 % interval."""
        job = self.job
        count = f"{len(self.rounds)} round{'s' if len(self.rounds) > 1 else ''}"
        lines = [
            f"{job.model}, {job.image_size} px, batch {job.batch}, {_options(job)}, {count}",
            f"{'':36}{'images/s':>9}{'of GEMM peak':>14}   ours is faster by",
        ]
        for name in self.variants:
            rate, share = self.rate(name).median, self.share(name).median
            ratio = self.ratios.get(name)
            factor = ratio.text() if ratio else ""
            lines.append(f"{TITLES[name]:36}{rate:9.2f}{100 * share:12.0f} %   {factor}".rstrip())
        return "\n".join([*lines, self.times("ours").text()])


def bench_step(
    *,
    model: str,
    image_size: int,
    batch: int,
    channels: Literal[1, 3] = 3,
    against: str = "nothing",
    rounds: int = ROUNDS,
    steps: int = 2,
    compute: str = "float32",
    xla: bool = False,
    steps_per_call: int = 1,
    threads: int | None = None,
    measure: Measure = measure_in_own_process,
    say: Say = lambda _text: None,
) -> StepBenchmark:
    """Measure a training step, alone or beside other ways to take it.

    Args:
        model: Name in the catalogue.
        image_size: Pixels.
        batch: Images a step.
        channels: Channels of the images.
        against: A key of `AGAINST`.
        rounds: Repetitions of the whole comparison.
        steps: Counted steps of each process.
        compute: Arithmetic of every variant and of the matrix product.
        xla: Whether our step, also with plain Keras layers, is compiled by XLA.
        steps_per_call: Steps of ours in one call of the compiled function.
        threads: Threads within and between operations; None is one a core.
        measure: Runs a job in a process of its own.
        say: Called after each measurement.

    Raises:
        UsageError: unknown `against`, fewer than two rounds of a comparison,
            another arithmetic than `keras-fit` has, or nothing that differs from the defaults.
    """
    job = StepJob(
        variant="ours",
        model=KERAS_FIT_MODEL if against == "keras-fit" else model,
        image_size=image_size,
        batch=batch,
        channels=channels,
        steps=steps,
        compute=compute,
        xla=xla,
        steps_per_call=steps_per_call,
        threads=threads,
    )
    _check(against, rounds, job)
    variants = AGAINST[against]
    measured = []
    for number in range(rounds):
        found: dict[str, MeasuredStep] = {}
        for variant in rotated(variants, number):
            found[variant] = measure(_job_of(job, variant))
            rate = found[variant].images_per_s
            say(f"round {number + 1} of {rounds}: {TITLES[variant]}: {rate:.2f} images/s")
        measured.append(found)
    return StepBenchmark(job, tuple(measured), _ratios(measured, variants))


def rotated(variants: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The variants in the order of a round: each round begins one further."""
    shift = number % len(variants)
    return variants[shift:] + variants[:shift]


def _job_of(job: StepJob, variant: str) -> StepJob:
    if variant == "defaults":
        return job.model_copy(update={"variant": "ours", **DEFAULTS})
    return job.model_copy(update={"variant": variant})


def _options(job: StepJob) -> str:
    parts = [job.compute]
    parts += ["XLA"] if job.xla else []
    parts += [f"{job.steps_per_call} steps a call"] if job.steps_per_call > 1 else []
    parts += [] if job.threads is None else [f"threads: {job.threads}"]
    return ", ".join(parts)


def _check(against: str, rounds: int, job: StepJob) -> None:
    if against not in AGAINST:
        raise UsageError(f"--against {against} is unknown", expected=", ".join(AGAINST))
    if len(AGAINST[against]) > 1 and rounds < 2:
        raise UsageError(
            "one round gives a ratio without an interval",
            expected="--rounds 2 or more; five is the default",
        )
    if against == "defaults" and all(getattr(job, k) == v for k, v in DEFAULTS.items()):
        raise UsageError(
            "nothing differs from the defaults",
            expected="--compute, --xla, --steps-per-call or --threads beside --against defaults",
        )
    if against == "keras-fit" and job.compute != "float32":
        raise UsageError(
            f"keras-fit is measured in float32 alone, and --compute says {job.compute}",
            expected="the same arithmetic on both sides",
            remedy="leave --compute out, or take --against reference",
        )


def _ratios(rounds: list[dict[str, MeasuredStep]], variants: tuple[str, ...]) -> dict[str, Ratio]:
    ours = [r["ours"].images_per_s for r in rounds]
    return {
        name: Ratio.of([r[name].images_per_s for r in rounds], ours)
        for name in variants
        if name != "ours"
    }


def _share(found: dict[str, MeasuredStep], variant: str) -> float:
    compute = found[variant].compute
    peak = max(m.gemm_flops_per_s for m in found.values() if m.compute == compute)
    return found[variant].images_per_s * found[variant].flops_per_image / peak
