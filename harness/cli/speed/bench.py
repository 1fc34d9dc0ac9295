"""`harness bench`: how fast, and how near the machine's limit."""

from pathlib import Path
from typing import ClassVar, Literal

import click
from click.core import ParameterSource

from harness.bench.machine import MachineWatch
from harness.cli.lazy import LazyGroup
from harness.cli.options import LocalPath, json_option
from harness.cli.speed.bench_output import show
from harness.errors import UsageError

CONTEXT = {"help_option_names": ["-h", "--help"]}
NOT_WITH_LAYERS = ("against", "rounds", "steps", "compute", "xla", "steps_per_call")


class Benchmarks(LazyGroup):
    """The benchmarks; those of the input, the loop and scaling have modules of their own."""

    lazy: ClassVar[dict[str, str]] = {
        "input": "harness.cli.speed.bench_input:command",
        "loop": "harness.cli.speed.bench_loop:command",
        "scaling": "harness.cli.speed.bench_scaling:command",
    }


@click.group("bench", cls=Benchmarks, context_settings=CONTEXT)
def command() -> None:
    """Measure throughput beside its ceiling."""


def _known_model(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """Refuse a name that is none before TensorFlow is imported for it."""
    from harness.models.catalogue import check_name

    check_name(name)
    return name


model_option = click.option(
    "--model",
    default="apm5-resnet50-v2",
    show_default=True,
    callback=_known_model,
    help="A name of `list models`.",
)
batch_option = click.option(
    "--batch", type=click.IntRange(1), default=32, show_default=True, help="Images a step."
)
size_option = click.option(
    "--image-size", type=click.IntRange(8), default=224, show_default=True, help="Pixels."
)
channels_option = click.option(
    "--channels", type=click.Choice(["1", "3"]), default="3", show_default=True,
    callback=lambda _context, _option, text: int(text), help="Channels of the images.",
)  # fmt: skip
data_option = click.option(
    "--data",
    type=LocalPath(exists=True, file_okay=False),
    help="A data set. Default: generated photographs.",
)


@command.command("step")
@model_option
@batch_option
@size_option
@channels_option
@click.option(
    "--against",
    type=click.Choice(["reference", "keras-fit", "defaults", "nothing"]),
    default="nothing",
    show_default=True,
    help="Measure other ways to take the step, each in a process of its own, in rotated order; "
    "defaults: ours without --compute, --xla, --steps-per-call and --threads.",
)
@click.option("--layers", is_flag=True, help="The roofline of each layer instead.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--steps", type=click.IntRange(1), default=2, show_default=True, help="Counted steps a process."
)
@click.option(
    "--compute",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Arithmetic of every step, and of the matrix product beside it.",
)
@click.option(
    "--xla", is_flag=True, help="Compile our step with XLA; op determinism is off for it then."
)
@click.option(
    "--steps-per-call",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Steps of ours in one call of the compiled function.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads. Default: one a core.")
@json_option
@click.pass_context
def step(
    context: click.Context,
    model: str,
    batch: int,
    image_size: int,
    channels: Literal[1, 3],
    against: str,
    layers: bool,
    rounds: int,
    steps: int,
    compute: str,
    xla: bool,
    steps_per_call: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure a training step: images/s, share of the GEMM peak, ratios with intervals."""
    watch = MachineWatch()
    if layers:
        _refuse(context, NOT_WITH_LAYERS, "--layers")
        _pin(threads)
        from harness.bench.roofline import bench_layers

        table = bench_layers(model, image_size, batch, channels=channels)
        show(table.document, table.text, watch.machine(), as_json=as_json)
        return
    if against == "keras-fit":
        _refuse(context, ("model",), "--against keras-fit")
    from harness.bench.step import bench_step

    result = bench_step(
        model=model,
        image_size=image_size,
        batch=batch,
        channels=channels,
        against=against,
        rounds=rounds,
        steps=steps,
        compute=compute,
        xla=xla,
        steps_per_call=steps_per_call,
        threads=threads,
        say=lambda text: click.echo(text, err=True),
    )
    show(result.document, result.text, watch.machine(), as_json=as_json)


@command.command("evaluate")
@model_option
@click.option(
    "--protocol",
    type=click.Choice(["center_crop", "ten_crop"]),
    default="ten_crop",
    show_default=True,
)
@data_option
@click.option(
    "--crops-per-batch", type=click.IntRange(1), default=60, show_default=True,
    help="Crops that go through the network at once.",
)  # fmt: skip
@click.option(
    "--fold-batch-norm",
    is_flag=True,
    help="Fold batch normalisation into the convolutions, and measure what that gains.",
)
@click.option(
    "--onednn/--no-onednn", default=True, show_default=True, help="Kernels of the whole process."
)
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@json_option
def evaluate(
    model: str,
    protocol: str,
    data: Path | None,
    crops_per_batch: int,
    fold_batch_norm: bool,
    onednn: bool,
    rounds: int,
    as_json: bool,
) -> None:
    """Measure an evaluation, input included, beside the bare network and the GEMM peak."""
    watch = MachineWatch()
    _pin(onednn=onednn)
    from harness.bench.evaluation import bench_evaluate
    from harness.recipes.protocol import center_crop, ten_crop

    chosen = ten_crop() if protocol == "ten_crop" else center_crop()
    result = bench_evaluate(
        model=model,
        protocol=chosen.model_copy(update={"fold_batch_norm": fold_batch_norm}),
        data=data,
        crops_per_batch=crops_per_batch,
        rounds=rounds,
    )
    show(result.document, result.text, watch.machine(), as_json=as_json)


@command.command("all")
@model_option
@batch_option
@size_option
@data_option
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@json_option
def everything(
    model: str, batch: int, image_size: int, data: Path | None, rounds: int, as_json: bool
) -> None:
    """Measure input, step, tracker and evaluation, and name the bottleneck."""
    from harness.bench.step import bench_step

    watch = MachineWatch()
    measured = bench_step(model=model, image_size=image_size, batch=batch, rounds=rounds)
    _pin()
    from harness.bench.bottleneck import bench_rest

    result = bench_rest(measured, data=data, rounds=rounds)
    show(result.document, result.text, watch.machine(), as_json=as_json)


def _pin(threads: int | None = None, *, onednn: bool = True) -> None:
    """Pin this process as a run of the reference's recipe is pinned."""
    from harness.numerics.pins import pin_runtime, resolved, set_import_flags
    from harness.recipes.recipe import Numerics, Precision

    asked: int | Literal["auto"] = "auto" if threads is None else threads
    numerics = resolved(Numerics(onednn=onednn, intra_op_threads=asked, inter_op_threads=asked))
    set_import_flags(numerics)
    pin_runtime(numerics, Precision())


def _refuse(context: click.Context, names: tuple[str, ...], beside: str) -> None:
    """Refuse options that would have no effect."""
    given = [n for n in names if context.get_parameter_source(n) == ParameterSource.COMMANDLINE]
    if given:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{listed} has no effect with {beside}",
            expected=f"{beside} without {listed}",
            remedy="leave one of them out",
        )
