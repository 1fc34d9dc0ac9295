"""What computes: TensorFlow, its GPUs and libraries, and their peak rates."""

import time
from typing import Any

from harness.doctor.lines import Line
from harness.doctor.scene import Scene

GEMM_S = 0.3
SLOW_IMPORT_S = 60.0
EVEN = 0.9
"""A GPU below this share of the fastest of its kind is slow."""


def tensorflow_line(scene: Scene) -> Line:
    """Import it as a run does: with its flags and threads."""
    from harness.numerics.pins import pin_runtime, resolved, set_import_flags

    begin = time.perf_counter()
    numerics = resolved(scene.recipe.numerics)
    set_import_flags(numerics)
    pin_runtime(numerics, scene.recipe.precision)
    import tensorflow as tf

    seconds = time.perf_counter() - begin
    scene.gpus = tf.config.list_physical_devices("GPU")
    figures = {"import_s": seconds, "version": tf.__version__, "gpus": len(scene.gpus)}
    found = f"{tf.__version__} imported in {seconds:.1f} s, {numerics.intra_op_threads} threads"
    if seconds > SLOW_IMPORT_S:
        remedy = "put the environment on a local disk"
        return Line("tensorflow", "slow", found, remedy, figures)
    return Line("tensorflow", "ok", found, figures=figures)


def gpu_line(scene: Scene) -> Line:
    """Whether TensorFlow uses the GPUs that the driver has; its own reason where it does not."""
    import tensorflow as tf

    from harness.measure.gpu_list import system_gpus
    from harness.measure.gpu_reason import ask_tensorflow

    names = [tf.config.experimental.get_device_details(gpu) for gpu in scene.gpus]
    system = system_gpus()
    if scene.gpus:
        told = ", ".join(str(name.get("device_name", "GPU")) for name in names)
        begin = time.perf_counter()
        tf.config.list_logical_devices("GPU")
        opened_s = time.perf_counter() - begin
        found = f"TensorFlow uses {len(names)}: {told}; opened in {opened_s:.1f} s"
        return Line("gpu", "ok", found, figures={"opened_s": opened_s, "gpus": names})
    if not system.names:
        return Line("gpu", "note", "none: everything runs on the processor")
    reason = ask_tensorflow(system.error)
    found = f"TensorFlow does not use {system.names[0]}: {reason.words}"
    return Line("gpu", "wrong", found, reason.remedy)


def libraries_line() -> Line:
    """CUDA's libraries as loaded, and whether all of them have code for the cards."""
    import tensorflow as tf

    from harness.measure.gpu_libraries import gpu_libraries
    from harness.measure.gpu_support import support_of_gpus

    found = gpu_libraries(replicas=2)
    figures = {"libraries": found, "built_with": dict(tf.sysconfig.get_build_info())}
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    for support in support_of_gpus():
        if support.state != "native":
            state = "wrong" if support.state == "none" else "note"
            return Line("libraries", state, f"{support.words}; {told}", support.remedy, figures)  # type: ignore[arg-type]  # one of the two
    return Line("libraries", "ok", told, figures=figures)


def product_line(scene: Scene) -> Line:
    """Peak rate in each precision; on several GPUs, whether one of them is slow."""
    import tensorflow as tf

    from harness.measure.peaks import gemm_by_precision, measure_gemm

    scene.rates = gemm_by_precision()
    figures: dict[str, Any] = {"flops_per_s": scene.rates}
    found = ", ".join(f"{rate / 1e12:,.2f} TFLOP/s {name}" for name, rate in scene.rates.items())
    if len(scene.gpus) > 1:
        each = []
        for number in range(len(scene.gpus)):
            with tf.device(f"GPU:{number}"):
                each.append(measure_gemm(seconds=GEMM_S))
        figures["each_gpu_flops_per_s"] = each
        slow = [i for i, rate in enumerate(each) if rate < EVEN * max(each)]
        if slow:
            words = f"{found}; GPU {slow[0]} has {each[slow[0]] / max(each):.0%} of the fastest"
            remedy = "look at its clocks, power limit and other users with nvidia-smi"
            return Line("matrix product", "slow", words, remedy, figures)
    return Line("matrix product", "ok", found, figures=figures)


def copy_line(scene: Scene) -> Line:
    """Rate of the device's own memory."""
    from harness.measure.peaks import measure_copy

    rate = measure_copy(seconds=GEMM_S)
    found = f"{rate / 1e9:,.0f} GB/s on the {scene.device}, read and written"
    return Line("memory copy", "ok", found, figures={"bytes_per_s": rate})
