"""TensorFlow pinned as for a run, and what it sees, as a JSON line: for `harness doctor`."""

import json
import sys

from harness.errors import HarnessError
from harness.numerics.pins import pin_runtime, resolved, set_import_flags
from harness.recipes.recipe import Numerics, Precision


def main() -> None:
    """Print what a run on this machine would be executed by."""
    numerics = resolved(Numerics())
    try:
        set_import_flags(numerics)
        pin_runtime(numerics, Precision())
    except HarnessError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    from harness.measure.environment import effective_numerics

    found = effective_numerics(numerics, Precision())
    answer = {"version": found.versions["tensorflow"], "devices": found.devices}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
