"""Preflight: can this machine do the job, and how long will it take?

The parts are ordered by their cost, and each can end the job before anything
expensive begins.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

from harness.errors import MachineError
from harness.preflight.memory import check_memory, training_bytes
from harness.preflight.probes import Probes, machine_probes
from harness.preflight.workload import Counts, Workload, forward_share, workload
from harness.progress import duration
from harness.recipes.catalogue import in_precisions
from harness.recipes.recipe import Model, Recipe

GIB = 1 << 30
SLOWEST_SHARE_OF_PEAK = 0.02
"""A step slower than this share of the matrix product's rate has not been seen."""
SHORT_HOURS = 0.1
"""A job whose bound is below this is begun without timing a step."""
FAR_BEYOND = 10
"""A job whose bound is this many times the limit is refused by a step of few images."""
FEW_IMAGES = 8
NOTHING_DONE: Mapping[int, int] = MappingProxyType({})
PROCESSOR_FLOPS = 1e17
"""A seed of fewer operations needs no GPU: two days at 500 GFLOP/s."""


@dataclass(frozen=True)
class Preflight:
    """What a job will take.

    Attributes:
        seeds: Seeds of the job.
        bound_hours: Per seed, the arithmetic alone: counted operations at the rate of a
            matrix product, measured for a moment. A network of few channels is much slower.
        step_time_s: Of a real step, where it was timed.
        hours: Per seed, from the timed step, else the bound.
        disk_needed_bytes: For all seeds.
        disk_free_bytes: In the folder of the runs.
        gemm_flops_per_s: Measured peak.
        findings: Sentences that a reader should know.
    """

    seeds: tuple[int, ...]
    bound_hours: tuple[float, ...]
    step_time_s: float | None
    hours: tuple[float, ...]
    disk_needed_bytes: int
    disk_free_bytes: int
    gemm_flops_per_s: float
    findings: tuple[str, ...] = field(default=())

    @property
    def hours_in_all(self) -> float:
        """Hours of all seeds, one after the other."""
        return sum(self.hours)

    def text(self) -> str:
        """For a person, a line a fact."""
        kind = "the arithmetic alone takes" if self.step_time_s is None else "about"
        count = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        needed, free = self.disk_needed_bytes / GIB, self.disk_free_bytes / GIB
        each, whole = duration(3600 * max(self.hours)), duration(3600 * self.hours_in_all)
        lines = [
            f"time        {kind} {each} a seed, {whole} in all for {count}",
            "stop        at any time with Ctrl-C or SIGTERM: the same command resumes from there",
            f"disk        {needed:.1f} GiB needed, {free:.1f} GiB free",
            f"machine     {self.gemm_flops_per_s / 1e9:,.0f} GFLOP/s in a matrix product",
        ]
        if self.step_time_s is not None:
            lines.append(f"step        {self.step_time_s:.3f} s, measured")
        return "\n".join([*lines, *(f"note        {finding}" for finding in self.findings)])


def preflight(
    recipe: Recipe,
    data: Counts,
    seeds: tuple[int, ...],
    *,
    runs: Path,
    max_hours: float = 120.0,
    steps: int | None = None,
    steps_done: Mapping[int, int] = NOTHING_DONE,
    eval_images: int | None = None,
    probes: Probes | None = None,
    replicas: int = 1,
    workers_here: int = 1,
    say: Callable[[str], None] = lambda _text: None,
) -> Preflight:
    """Check machine, disk, memory and time; cheapest first.

    Args:
        recipe: What will be trained.
        data: Counts of its data: of the checked data set, or of its folder before that.
        seeds: The job's seeds.
        runs: Folder of the runs.
        max_hours: Longest time that a seed may take.
        steps: A `--steps` limit, or None.
        steps_done: By seed, steps that a checkpoint holds already.
        eval_images: An `--eval-images` limit, or None.
        probes: What to ask of the machine; None asks this one.
        replicas: Devices that share each batch, with a rate of their own each.
        workers_here: Workers of the job on this host, which share its memory.
        say: Called before each measurement, which takes time.

    Raises:
        MachineError: days of work beside an unused GPU, too little disk or memory, or too long.
    """
    classes = recipe.model.classes or len(data.classes)
    share = recipe.batch // replicas
    asked = probes or machine_probes(recipe.model_copy(update={"batch": share}), classes)
    say("counting the network's operations")
    loads = [_workload(recipe, data, steps_done.get(s, 0), steps, eval_images) for s in seeds]
    findings = _check_gpus(asked, max(load.flops for load in loads))
    needed, free = _check_disk(loads, runs, asked)
    findings += (_check_memory(recipe, classes, share, workers_here, asked),)
    say("measuring the peak rate of a matrix product")
    rate = asked.gemm_flops_per_s()
    findings += _by_precision(recipe, loads[0].flops / replicas, asked)
    bounds = tuple(load.flops / rate / replicas / 3600 for load in loads)
    if max(bounds) > FAR_BEYOND * max_hours:
        _refuse_hopeless(loads, max_hours, recipe, asked, share, say)
    step_time_s, hours = _timed(loads, bounds, max_hours, recipe, asked, share, say)
    _check_hours(max(hours), max_hours, recipe, step_time_s, share)
    return Preflight(
        seeds=seeds,
        bound_hours=bounds,
        step_time_s=step_time_s,
        hours=hours,
        disk_needed_bytes=needed,
        disk_free_bytes=free,
        gemm_flops_per_s=rate,
        findings=findings,
    )


def _workload(
    recipe: Recipe,
    data: Counts,
    steps_done: int,
    steps: int | None,
    eval_images: int | None,
) -> Workload:
    from harness.models.catalogue import describe

    classes = recipe.model.classes or len(data.classes)
    channels = recipe.normalisation.channel_count
    size = describe(recipe.model.name, classes, channels)
    return workload(
        recipe,
        data,
        forward_multiply_adds=forward_multiply_adds(recipe.model, classes, channels),
        trainable=size.trainable,
        moving=size.moving,
        steps_done=steps_done,
        last_step=steps,
        eval_images=eval_images,
    )


def _check_gpus(probes: Probes, flops: float) -> tuple[str, ...]:
    """What to know about a GPU that is not used; a long job beside one is refused.

    A small job, such as the smoke, runs on the processor and says so.
    """
    if probes.visible_gpus():
        return _check_support(probes)
    system = probes.system_gpus()
    if not system.names:
        note = "TensorFlow sees no GPU: everything runs on the processor"
        return (f"{note} (nvidia-smi: {system.error})" if system.error else note,)
    reason = probes.unseen_reason(system.error)
    found = f"this system has a GPU ({system.names[0]}) that TensorFlow does not use"
    if flops >= PROCESSOR_FLOPS:
        raise MachineError(
            f"{found}: {reason.words}",
            expected="CUDA libraries and a driver that fit, or no GPU in sight",
            remedy=f"{reason.remedy}; to train on the processor anyway, set "
            'CUDA_VISIBLE_DEVICES=""',
        )
    return (
        f"{found}, so everything runs on the processor: {reason.words}",
        f"to use it: {reason.remedy}",
    )


def _check_support(probes: Probes) -> tuple[str, ...]:
    """What to know about a GPU that the libraries have no machine code for."""
    found = [one for one in probes.gpu_support() if one.state != "native"]
    for one in found:
        if one.state == "none":
            raise MachineError(
                one.words,
                where="GPU",
                expected="a GPU that TensorFlow and its libraries have code for",
                remedy=f'{one.remedy}; CUDA_VISIBLE_DEVICES="" trains on the processor',
            )
    return tuple(dict.fromkeys(f"{one.words}; {one.remedy}" for one in found))


def _by_precision(recipe: Recipe, flops: float, probes: Probes) -> tuple[str, ...]:
    """Hours of a seed's arithmetic in each precision that the catalogue has the recipe in."""
    others = in_precisions(recipe)
    rates = probes.flops_per_s_by_precision() if len(others) > 1 else {}
    told = [
        f"{name} {duration(flops / rate)} ({others[name].name})"
        for name, rate in rates.items()
        if name in others
    ]
    if len(told) < 2:
        return ()
    return (f"the arithmetic alone of a seed, by precision: {', '.join(told)}",)


def _check_memory(
    recipe: Recipe, classes: int, batch: int, workers_here: int, probes: Probes
) -> str:
    from harness.models.catalogue import describe

    channels = recipe.normalisation.channel_count
    _, activations = _counted(recipe.model, classes, channels)
    if recipe.model.trunk_is_frozen:
        activations = 0  # nothing waits for gradients
    parameters = describe(recipe.model.name, classes, channels).total
    needed = training_bytes(activations, parameters, batch, recipe.precision.compute)
    # Each worker has a GPU of its own; without GPUs they share the host's memory.
    sharing = 1 if probes.visible_gpus() else workers_here
    return check_memory(needed, probes.free_memory_bytes(), recipe, batch, sharing)


def forward_multiply_adds(model: Model, classes: int, channels: int = 3) -> int:
    """Multiply-adds of one image of the recipe's size through its network."""
    return _counted(model, classes, channels)[0]


@cache
def _counted(model: Model, classes: int, channels: int) -> tuple[int, int]:
    """Multiply-adds of one image, and bytes of the convolutions' inputs and outputs."""
    from harness.measure.operations import count_operations
    from harness.models.build import build_model

    network = build_model(model, classes=classes, seed=0, channels=channels)
    counted = count_operations(network, model.image_size, channels)
    return sum(op.multiply_adds for op in counted), sum(op.activation_bytes for op in counted)


def _check_disk(loads: list[Workload], runs: Path, probes: Probes) -> tuple[int, int]:
    needed = sum(load.disk_bytes for load in loads if load.steps)
    free = probes.free_bytes(runs)
    if needed > free:
        raise MachineError(
            f"{free / GIB:.1f} GiB are free",
            where=str(runs),
            expected=f"{needed / GIB:.1f} GiB for checkpoints, predictions and journals of "
            f"{len(loads)} seed{'s' if len(loads) > 1 else ''}",
            remedy="free some space, or put the runs elsewhere with --runs",
        )
    return needed, free


def _refuse_hopeless(
    loads: list[Workload],
    max_hours: float,
    recipe: Recipe,
    probes: Probes,
    share: int,
    say: Callable[[str], None],
) -> None:
    """Refuse what a real step of few images shows to be far too long; else a whole one decides.

    The bound alone does not refuse: the rate of a busy machine's matrix product is no bound.
    """
    images = min(share, FEW_IMAGES)
    say(f"timing a real step of {images} images first, for the bound is far beyond the limit")
    step_time_s = probes.step_time_s(images)
    hours = max(_hours(loads, step_time_s * share / images, recipe, share))
    if hours > FAR_BEYOND * max_hours:
        _check_hours(hours, max_hours, recipe, step_time_s, images)


def _check_hours(
    hours: float, max_hours: float, recipe: Recipe, step_time_s: float | None, images: int
) -> None:
    if hours <= max_hours:
        return
    how = "" if step_time_s is None else f" (a step of {images} images took {step_time_s:.3g} s)"
    raise MachineError(
        f"one seed of {recipe.name} would take about {duration(3600 * hours)} on this machine{how}",
        expected=f"at most {duration(3600 * max_hours)} a seed (--max-hours {max_hours:g})",
        remedy="use a machine with a GPU, or raise --max-hours if you can wait",
    )


def _timed(
    loads: list[Workload],
    bounds: tuple[float, ...],
    max_hours: float,
    recipe: Recipe,
    probes: Probes,
    share: int,
    say: Callable[[str], None],
) -> tuple[float | None, tuple[float, ...]]:
    """Hours from a real step, which may be much slower than the bound.

    It is not timed where the job is short and even a slow step far within the limit.
    """
    if max(bounds) < min(SHORT_HOURS, max_hours * SLOWEST_SHARE_OF_PEAK):
        return None, bounds
    say(f"timing a real step of {share} images; its compilation takes longest")
    step_time_s = probes.step_time_s(share)
    return step_time_s, _hours(loads, step_time_s, recipe, share)


def _hours(
    loads: list[Workload], step_time_s: float, recipe: Recipe, share: int
) -> tuple[float, ...]:
    crop_s = forward_share(recipe.model) * step_time_s / share  # one device evaluates
    return tuple((load.steps * step_time_s + load.crops * crop_s) / 3600 for load in loads)
