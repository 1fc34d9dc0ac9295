"""The GPUs as the driver reports them, before TensorFlow is asked."""

import os
import re

from harness.doctor.lines import Line
from harness.measure.gpu_libraries import driver_version
from harness.measure.gpu_list import system_gpus
from harness.measure.machine import gpus
from harness.measure.visible_gpus import LIST_VARIABLE

OLDEST_DRIVER = 525
"""Of CUDA 12."""


def driver_line() -> Line:
    """The driver and its cards; without a card there is nothing to be wrong."""
    system = system_gpus()
    listed, rows = os.environ.get(LIST_VARIABLE), gpus()
    figures = {"gpus": list(rows), "visible": list(system.names), LIST_VARIABLE: listed}
    if system.error and system.names:
        found = f"{', '.join(system.names)}, and nvidia-smi fails: {system.error}"
        return Line("driver", "wrong", found, "see `gpu` below for what helps", figures)
    if system.error:
        return Line("driver", "note", f"nvidia-smi fails: {system.error}", None, figures)
    if not system.names:
        words = f"no GPU in sight ({LIST_VARIABLE}={listed})" if rows else "no GPU"
        return Line("driver", "note", f"{words}: the processor computes", None, figures)
    driver = system.driver or driver_version()
    found = f"{driver}, {_counted(system.names)}"
    number = re.match(r"\d+", driver or "")
    if number and int(number[0]) < OLDEST_DRIVER:
        remedy = f"update it to {OLDEST_DRIVER} or newer, which CUDA 12 needs"
        return Line("driver", "wrong", found, remedy, figures)
    split = [row for row in rows if row.get("mig.mode.current") == "Enabled"]
    if split:
        words = f"{found}; {split[0].get('name')} is divided (MIG), a run uses one part"
        return Line("driver", "note", words, None, figures)
    return Line("driver", "ok", found, figures=figures)


def _counted(names: tuple[str, ...]) -> str:
    return ", ".join(f"{names.count(name)} x {name}" for name in dict.fromkeys(names))
