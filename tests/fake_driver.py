"""A stand-in for `nvidia-smi`: a program that answers, or fails, as told."""

import shlex
from pathlib import Path

ROW = "Made-up GPU, 550.54.15, 81559 MiB, 00000000:00:04.0, Disabled, 700.00 W, 1980 MHz, 2619 MHz, Enabled, Disabled"  # noqa: E501 - one line of its output


def write_nvidia_smi(folder: Path, output: str = ROW, exit_code: int = 0) -> Path:
    """Write the program into a folder that is made, for the head of PATH; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' {shlex.quote(output)}\nexit {exit_code}\n")
    program.chmod(0o755)
    return program
