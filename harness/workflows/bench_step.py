"""`harness bench step`: a training step beside its ceiling and beside other ways to take it.

Every variant runs in a process of its own, because TensorFlow's flags bind at
its import. The variants of a round run one after the other, in an order that
moves on by one each round, so that a slow minute of the machine hits each of
them alike; ratios are taken within rounds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.statistics.ratio import RatioInterval, paired_ratio_interval
from harness.workflows.bench_worker import Job, Measured, measure_in_own_process

ROUNDS = 5
AGAINST: dict[str, tuple[str, ...]] = {
    "reference": ("reference", "reference-onednn", "plain-keras", "ours"),
    "keras-fit": ("keras-fit", "ours"),
    "nothing": ("ours",),
}
RATIO_NAMES = {
    "reference": "ratio_vs_reference",
    "reference-onednn": "ratio_vs_reference_onednn",
    "plain-keras": "ratio_vs_plain_keras",
    "keras-fit": "ratio_vs_keras_fit",
}
TITLES = {
    "reference": "reference as shipped (no oneDNN)",
    "reference-onednn": "reference with oneDNN",
    "plain-keras": "plain Keras layers in our step",
    "keras-fit": "keras.applications under Model.fit",
    "ours": "ours",
}
KERAS_FIT_MODEL = "keras-resnet50v2"
"""The catalogue's name of the network that `keras-fit` trains, so that both train the same."""

Measure = Callable[[Job], Measured]
Say = Callable[[str], None]


@dataclass(frozen=True)
class StepBenchmark:
    """What all rounds gave.

    Attributes:
        job: Network, batch and arithmetic; its variant is "ours".
        rounds: Per round, the measurements by variant.
        ratios: Ours over another variant, images a second, by variant.
    """

    job: Job
    rounds: tuple[dict[str, Measured], ...]
    ratios: dict[str, RatioInterval]

    @property
    def variants(self) -> tuple[str, ...]:
        """In the order of the table."""
        return tuple(name for name in TITLES if name in self.rounds[0])

    def rate(self, variant: str) -> tuple[float, float, float]:
        """Images a second of a variant: median, lowest and highest of the rounds."""
        return spread([r[variant].images_per_s for r in self.rounds])

    def share(self, variant: str) -> tuple[float, float, float]:
        """Share of the matrix product's peak: median, lowest and highest of the rounds.

        The peak is the best that any process of the same round reached: a
        variant without oneDNN is held against what the machine can do.
        """
        return spread([_share(r, variant) for r in self.rounds])

    def document(self) -> dict[str, Any]:
        """As JSON-like data."""
        head = {
            "benchmark": "step",
            "job": self.job.model_dump(exclude={"variant"}),
            "images_per_s": named(self.rate("ours")),
            "share_of_gemm_peak": named(self.share("ours")),
        }
        ratios = {
            RATIO_NAMES[name]: named((r.ratio, r.low, r.high)) for name, r in self.ratios.items()
        }
        variants = {
            name: {
                "images_per_s": named(self.rate(name)),
                "share_of_gemm_peak": named(self.share(name)),
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
            f"{job.model}, {job.image_size} px, batch {job.batch}, {job.compute}, {count}",
            f"{'':36}{'images/s':>9}{'of GEMM peak':>14}   ours is faster by",
        ]
        for name in self.variants:
            rate, share = self.rate(name)[0], self.share(name)[0]
            ratio = self.ratios.get(name)
            factor = f"{ratio.ratio:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else ""
            lines.append(f"{TITLES[name]:36}{rate:9.2f}{100 * share:12.0f} %   {factor}".rstrip())
        return "\n".join([*lines, *self._energy()])

    def _energy(self) -> list[str]:
        joules = [r["ours"].joules_per_image for r in self.rounds]
        known = [j for j in joules if j is not None]
        if not known:
            return ["energy: unavailable on this machine"]
        return [f"energy: {spread(known)[0]:.1f} J an image"]


def bench_step(
    *,
    model: str,
    image_size: int,
    batch: int,
    against: str = "nothing",
    rounds: int = ROUNDS,
    steps: int = 2,
    compute: str = "float32",
    threads: int | None = None,
    measure: Measure = measure_in_own_process,
    say: Say = lambda _text: None,
) -> StepBenchmark:
    """Measure a training step, alone or beside other ways to take it.

    Args:
        model: Name in the catalogue.
        image_size: Pixels.
        batch: Images a step.
        against: A key of `AGAINST`.
        rounds: Repetitions of the whole comparison.
        steps: Counted steps of each process.
        compute: Arithmetic.
        threads: Threads within and between operations; None is one a core.
        measure: Runs a job in a process of its own.
        say: Told after each measurement.

    Raises:
        UsageError: unknown `against`, or fewer than two rounds of a comparison.
    """
    _check(against, rounds)
    variants = AGAINST[against]
    name = KERAS_FIT_MODEL if against == "keras-fit" else model
    job = Job(
        variant="ours",
        model=name,
        image_size=image_size,
        batch=batch,
        steps=steps,
        compute=compute,
        threads=threads,
    )
    measured = []
    for number in range(rounds):
        found: dict[str, Measured] = {}
        for variant in rotated(variants, number):
            found[variant] = measure(job.model_copy(update={"variant": variant}))
            rate = found[variant].images_per_s
            say(f"round {number + 1} of {rounds}: {TITLES[variant]}: {rate:.2f} images/s")
        measured.append(found)
    return StepBenchmark(job, tuple(measured), _ratios(measured, variants))


def rotated(variants: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The variants in the order of a round: each round begins one further."""
    shift = number % len(variants)
    return variants[shift:] + variants[:shift]


def _check(against: str, rounds: int) -> None:
    if against not in AGAINST:
        raise UsageError(f"--against {against} is unknown", expected=", ".join(AGAINST))
    if len(AGAINST[against]) > 1 and rounds < 2:
        raise UsageError(
            "one round gives a ratio without an interval",
            expected="--rounds 2 or more; five is the default",
        )


def _ratios(
    rounds: list[dict[str, Measured]], variants: tuple[str, ...]
) -> dict[str, RatioInterval]:
    ours = [r["ours"].images_per_s for r in rounds]
    return {
        name: paired_ratio_interval([r[name].images_per_s for r in rounds], ours)
        for name in variants
        if name != "ours"
    }


def _share(found: dict[str, Measured], variant: str) -> float:
    peak = max(m.gemm_flops_per_s for m in found.values())
    return found[variant].images_per_s * found[variant].flops_per_image / peak


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, lowest and highest."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    odd = len(ordered) % 2 == 1
    median = ordered[middle] if odd else (ordered[middle - 1] + ordered[middle]) / 2
    return median, ordered[0], ordered[-1]


def named(values: tuple[float, float, float]) -> dict[str, float]:
    """As JSON-like data with the keys median, low and high."""
    return dict(zip(("median", "low", "high"), values, strict=True))
