"""Every command imports TensorFlow with its start-up messages held back, or not at all.

TensorFlow reports a missing driver, oneDNN and the processor's instructions on standard error
before any log level applies. A finder in the place of TensorFlow notes whether standard error is
held when a command asks for it, so that nothing is imported.
"""

import json
import subprocess
import sys

import numpy as np
import pytest

from harness.models.architecture import architectures
from harness.models.variables import variable_table
from harness.training.checkpoint import write_checkpoint
from tests.generated_sources import write_folder
from tests.planted_journals import EXAMPLES

NETWORK = "he2015-cifar-resnet20-a"
PROBE = """
import json, runpy, sys


class Imported(BaseException):
    pass


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in ("tensorflow", "keras"):
            raise Imported("held back" if SHOWN else "shown")


from harness.cli.main import harness
from harness.system.streams import SHOWN

sys.meta_path.insert(0, Finder())
found = {}
for title, words in json.loads(sys.argv[1]).items():
    sys.argv = words
    try:
        if words[0].startswith("harness."):
            runpy.run_module(words[0], run_name="__main__")
        else:
            harness.main(words, standalone_mode=False)
        found[title] = "not imported"
    except Imported as imported:
        found[title] = str(imported)
    except SystemExit as ended:
        found[title] = f"not imported, exit code {ended.code}"
    except BaseException as error:
        found[title] = repr(error)
with open("found.json", "w") as file:
    json.dump(found, file)
"""
HELD_BACK = {
    "run": "run smoke --data data --seed 1 --no-tracking",
    "run, of weights": "run transfer --init weights --normalisation torch --data data --seed 1",
    "reproduce": "reproduce smoke-digits-ten-crop --data data --max-hours inf --no-tracking",
    "prepare": "prepare --source data --out prepared",
    "evaluate": "evaluate --weights weights {described} --data data",
    "classify": "classify --weights weights {described} picture.jpg",
    "export": "export --weights weights {described} --out out.keras",
    "bench input": "bench input --data data",
    "bench evaluate": "bench evaluate",
    "bench loop": "bench loop --recipe smoke --data data",
    "the smoke's digits": "harness.study.reproduction_data digits",
}
NOT_IMPORTED = {
    "recipe": "recipe show smoke",
    "list": "list models",
    "plan": "plan smoke --seeds 3",
    "verdict": "verdict {examples}/reproduced --json",
    "diff": "diff {examples}/reproduced/seed-1 {examples}/reproduced/seed-2",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("quiet")
    write_folder(folder / "data")
    (picture, *_) = (folder / "data" / "val").rglob("*.JPEG")
    (folder / "picture.jpg").write_bytes(picture.read_bytes())
    arrays = {
        f"weights/{one.path}": np.zeros(one.shape, np.float32)
        for one in variable_table(architectures()[NETWORK], 3)
    }
    write_checkpoint(folder / "weights", 1, "none", arrays, lambda: None)
    described = f"--model {NETWORK} --normalisation torch --class-order folder"
    lines = {
        title: line.format(described=described, examples=EXAMPLES).split()
        for title, line in {**HELD_BACK, **NOT_IMPORTED}.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(lines)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads((folder / "found.json").read_text())
    return answer


@pytest.mark.parametrize("title", HELD_BACK)
def test_a_command_holds_back_what_tensorflow_says_at_its_start(
    title: str, found: dict[str, str]
) -> None:
    assert found[title] == "held back"


@pytest.mark.parametrize("title", NOT_IMPORTED)
def test_a_command_that_computes_nothing_imports_none(title: str, found: dict[str, str]) -> None:
    assert found[title].startswith("not imported")
