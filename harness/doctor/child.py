"""The probes of one device, in a process of their own.

`python -m harness.doctor.child REQUEST` prints a line of JSON for each thing as soon as
it is known, so that a process that hangs or dies takes only the rest with it.
"""

import json
import sys
from collections.abc import Iterator

from harness.doctor import device
from harness.doctor.lines import Line, guarded
from harness.doctor.scene import Scene
from harness.recipes.catalogue import find_recipe

NAMES = (
    "tensorflow", "gpu", "matrix product", "memory copy", "step", "same bits", "host share",
    "input",
)  # fmt: skip
"""What is looked at in any case, in this order."""


def probes(scene: Scene) -> Iterator[Line]:
    """Each thing in turn; what needs something that failed is left out."""
    yield guarded("tensorflow", lambda: device.tensorflow_line(scene))
    if "tensorflow" not in sys.modules:
        return
    if not scene.only_step:
        yield guarded("gpu", lambda: device.gpu_line(scene))
        if scene.gpus:
            yield guarded("libraries", device.libraries_line)
        yield guarded("matrix product", lambda: device.product_line(scene))
        yield guarded("memory copy", lambda: device.copy_line(scene))
    from harness.doctor import training

    yield guarded("step", lambda: training.step_line(scene))
    if scene.step is None or scene.only_step:
        return
    yield guarded("same bits", lambda: training.bits_line(scene))
    yield guarded("host share", lambda: training.host_line(scene))
    yield guarded("input", lambda: training.input_line(scene))


def main() -> None:
    """Print the lines, and at the end the environment."""
    request = json.loads(sys.argv[1])
    scene = Scene(find_recipe(request["recipe"]), only_step=bool(request.get("only_step")))
    for line in probes(scene):
        print(json.dumps(line.document(), default=str), flush=True)
    if not scene.only_step:
        from harness.measure.environment import capture_environment

        print(json.dumps({"environment": capture_environment()}, default=str), flush=True)


if __name__ == "__main__":
    main()
