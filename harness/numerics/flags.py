"""Flags for TensorFlow's compiler, tried in a process that may end for them.

An unknown flag ends the process that meets it with exit code 1, at the first
compilation or before; no handler is asked.
"""

import subprocess
from collections.abc import Mapping

from harness.errors import MachineError
from harness.system.children import run_python

VARIABLES = ("TF_XLA_FLAGS", "XLA_FLAGS")
LONGEST_S = 300.0


def check_flags(environ: Mapping[str, str]) -> None:
    """Compile something in a child where a variable of `VARIABLES` is set.

    Raises:
        MachineError: TensorFlow does not take the flags; its own message is quoted.
    """
    named = [name for name in VARIABLES if environ.get(name, "").strip()]
    if not named:
        return
    try:
        done = run_python("harness.numerics.flags", environ=environ, timeout_s=LONGEST_S)
    except subprocess.TimeoutExpired:
        return  # slow is not wrong
    if done.returncode == 0:
        return
    told = [line for line in done.stderr.splitlines() if line.strip()]
    fatal = [line.partition("] ")[2] or line for line in told if line.startswith("F")]
    raise MachineError(
        f"TensorFlow does not take its flags: {(fatal or told or ['it said nothing'])[-1]}",
        where=", ".join(f"{name}={environ[name]}" for name in named),
        expected="flags of the installed TensorFlow",
        remedy="correct or unset the variable",
    )


def main() -> None:
    """Make TensorFlow read every flag."""
    import tensorflow as tf

    compiled = tf.function(lambda x: x + 1.0, jit_compile=True)
    compiled(tf.constant(1.0))


if __name__ == "__main__":
    main()
