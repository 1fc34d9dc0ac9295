"""What `harness bench step` makes of its measurements."""

import itertools
import json

import pytest
from click.testing import CliRunner

from harness.bench.roofline import LayerTable, layer_bound
from harness.bench.step import AGAINST, bench_step, rotated
from harness.bench.step_job import MeasuredStep, StepJob
from harness.bench.step_process import onednn_flag
from harness.bench.summary import MedianRange
from harness.cli.speed.bench import command
from harness.errors import ModelError, UsageError
from harness.measure.operations import Operation
from harness.measure.peaks import Peaks

RATES = {"reference": 2.8, "reference-onednn": 4.3, "plain-keras": 3.7, "ours": 5.0}
PEAK = 165e9
FLOPS = 24.5e9


class Machine:
    """Answers with fixed rates and remembers who was asked; each round is slower than the last."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, job: StepJob) -> MeasuredStep:
        slowness = 1 + 0.2 * (len(self.asked) // 4)
        self.asked.append(job.variant)
        wobble = 1 + 0.001 * len(self.asked)
        rate = RATES[job.variant] / slowness * wobble
        gemm = (PEAK if onednn_flag(job) == "1" else PEAK / 2) / slowness
        return MeasuredStep(
            variant=job.variant,
            step_time_s=(job.batch / rate,),
            images_per_s=rate,
            compile_s=1.0,
            gemm_flops_per_s=gemm,
            flops_per_image=FLOPS,
            onednn=onednn_flag(job) == "1",
            numerics_digest="0",
        )


def compared(machine: Machine, rounds: int = 5) -> dict[str, object]:
    result = bench_step(
        model="m", image_size=224, batch=32, against="reference", rounds=rounds, measure=machine
    )
    return result.document()


def test_ratios_survive_a_machine_that_slows_down() -> None:
    document = compared(Machine())
    for name, variant in (
        ("ratio_vs_reference", "reference"),
        ("ratio_vs_reference_onednn", "reference-onednn"),
        ("ratio_vs_plain_keras", "plain-keras"),
    ):
        ratio = document[name]
        assert ratio["median"] == pytest.approx(RATES["ours"] / RATES[variant], rel=0.01)
        assert ratio["low"] < ratio["median"] < ratio["high"]
        assert ratio["high"] / ratio["low"] < 1.02


def test_shares_are_of_the_best_product_of_their_round() -> None:
    document = compared(Machine())
    assert document["share_of_gemm_peak"]["median"] == pytest.approx(
        RATES["ours"] * FLOPS / PEAK, rel=0.03
    )
    variants = document["variants"]
    assert variants["reference"]["share_of_gemm_peak"]["median"] == pytest.approx(
        RATES["reference"] * FLOPS / PEAK, rel=0.03
    )
    assert [variants[v]["onednn"] for v in AGAINST["reference"]] == [False, True, True, True]


def test_every_variant_takes_every_place_in_the_order() -> None:
    machine = Machine()
    compared(machine, rounds=4)
    orders = [machine.asked[i : i + 4] for i in range(0, 16, 4)]
    assert all(sorted(order) == sorted(AGAINST["reference"]) for order in orders)
    assert all(len({order[place] for order in orders}) == 4 for place in range(4))


def test_rotation_is_a_rotation() -> None:
    for number in range(6):
        order = rotated(("a", "b", "c"), number)
        doubled = list(itertools.chain("abc", "abc"))
        assert list(order) == doubled[number % 3 : number % 3 + 3]


@pytest.mark.parametrize(("against", "rounds"), [("nobody", 5), ("reference", 1)])
def test_impossible_comparisons_are_refused(against: str, rounds: int) -> None:
    with pytest.raises(UsageError):
        bench_step(
            model="m", image_size=8, batch=1, against=against, rounds=rounds, measure=Machine()
        )


def test_the_table_is_for_a_person() -> None:
    result = bench_step(
        model="m", image_size=224, batch=32, against="reference", rounds=3, measure=Machine()
    )
    text = result.text()
    assert "ours" in text
    assert text.count("[") == 3


def test_the_reference_as_shipped_has_no_onednn_whatever_the_processor() -> None:
    job = StepJob(variant="reference", model="m", image_size=8, batch=1)
    assert onednn_flag(job) == "0"
    others = ("reference-onednn", "plain-keras", "ours", "keras-fit")
    assert all(onednn_flag(job.model_copy(update={"variant": v})) == "1" for v in others)


@pytest.mark.parametrize(
    ("values", "expected"), [([3.0, 1.0, 2.0], (2.0, 1.0, 3.0)), ([4.0, 2.0], (3.0, 2.0, 4.0))]
)
def test_spread(values: list[float], expected: tuple[float, float, float]) -> None:
    assert MedianRange.of(values) == MedianRange(*expected)


def test_a_roofline_has_two_sides() -> None:
    peaks = Peaks(gemm_flops_per_s=100e9, copy_bytes_per_s=10e9, device="CPU")
    heavy = Operation("heavy", "Conv2D", (3, 3, 64, 64), (56, 56, 64), 10**9, 10**6, 10**5)
    light = Operation("light", "MatMul", (2048, 1000), (1000,), 2 * 10**6, 10**4, 8 * 10**6)
    bounds = [layer_bound(op, 1, peaks) for op in (heavy, light)]
    assert [b.bounded_by for b in bounds] == ["compute", "memory"]
    assert bounds[0].bound_s == pytest.approx(2e9 / 100e9)
    assert bounds[1].bound_s == pytest.approx((10**4 + 8 * 10**6) / 10e9)
    table = LayerTable("m", 1, peaks, tuple(bounds))
    assert table.document()["layers"][0]["name"] == "heavy"
    assert "memory" in table.text()


def test_help_lists_every_benchmark() -> None:
    shown = CliRunner().invoke(command, ["--help"]).output
    assert all(name in shown for name in ("step", "evaluate", "all", "input"))


@pytest.mark.parametrize("name", ["step", "evaluate", "all"])
def test_an_unknown_model_is_refused_before_anything_is_measured(name: str) -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        CliRunner().invoke(command, [name, "--model", "no-such-model"], catch_exceptions=False)


def test_help_of_step_needs_no_tensorflow() -> None:
    result = CliRunner().invoke(command, ["step", "--help"])
    assert result.exit_code == 0
    assert "--against" in result.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--layers", "--compute", "bfloat16"), "--compute has no effect with --layers"),
        (("--layers", "--against", "reference"), "--against has no effect with --layers"),
        (("--layers", "--rounds", "5", "--steps", "2"), "--rounds, --steps has no effect"),
        (("--layers", "--xla", "--steps-per-call", "4"), "--xla, --steps-per-call has no effect"),
        (
            ("--against", "keras-fit", "--model", "apm5-resnet18-v2"),
            "--model has no effect with --against keras-fit",
        ),
        (
            ("--against", "keras-fit", "--compute", "bfloat16"),
            "keras-fit is measured in float32 alone",
        ),
    ],
)
def test_options_without_effect_are_refused(options: tuple[str, ...], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        CliRunner().invoke(command, ["step", *options], catch_exceptions=False)
    assert named in caught.value.found


def test_step_times_are_those_of_all_rounds() -> None:
    times = compared(Machine())["step_time"]
    assert times["steps"] == 5
    assert times["median_s"] <= times["p90_s"] <= times["p99_s"] <= times["longest_s"]
    assert times["data_wait_share"] is None


def test_options_reach_the_job() -> None:
    jobs: list[StepJob] = []

    def measure(job: StepJob) -> MeasuredStep:
        jobs.append(job)
        return Machine()(job)

    bench_step(
        model="m", image_size=8, batch=1, channels=1, rounds=1, compute="bfloat16", xla=True,
        steps_per_call=4, threads=1, measure=measure,
    )  # fmt: skip
    (job,) = jobs
    assert job.channels == 1
    assert (job.compute, job.xla, job.steps_per_call, job.threads) == ("bfloat16", True, 4, 1)


def test_defaults_are_ours_without_the_options() -> None:
    """Each arithmetic is held against the matrix product of its own."""
    jobs: list[StepJob] = []

    def measure(job: StepJob) -> MeasuredStep:
        jobs.append(job)
        faster = 4.0 if job.compute == "bfloat16" else 1.0
        found = Machine()(job)
        return found.model_copy(
            update={
                "compute": job.compute,
                "images_per_s": faster * found.images_per_s,
                "gemm_flops_per_s": faster * found.gemm_flops_per_s,
            }
        )

    result = bench_step(
        model="m", image_size=8, batch=1, rounds=2, against="defaults", compute="bfloat16",
        xla=True, steps_per_call=4, threads=1, measure=measure,
    )  # fmt: skip
    asked = [(j.variant, j.compute, j.xla, j.steps_per_call, j.threads) for j in jobs]
    plain, given = ("ours", "float32", False, 1, None), ("ours", "bfloat16", True, 4, 1)
    assert asked == [plain, given, given, plain]
    assert result.document()["ratio_vs_defaults"]["median"] == pytest.approx(4.0)
    assert result.share("ours") == result.share("defaults")
    assert "bfloat16, XLA, 4 steps a call, threads: 1, 2 rounds" in result.text()


def test_nothing_that_differs_from_the_defaults_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing differs"):
        bench_step(model="m", image_size=8, batch=1, against="defaults", measure=Machine())


def test_the_document_is_json() -> None:
    assert json.loads(json.dumps(compared(Machine()), allow_nan=False))["benchmark"] == "step"
