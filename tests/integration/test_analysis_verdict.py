"""`harness verdict` as a process, on the committed example journals.

Planted ones for each outcome, which `python -m tests.planted_journals` writes anew when recipe or
schema change, and the real runs of the smoke under `reports/`.
"""

import json
import subprocess
import sys

import pytest

from harness.analysis.verdict import verdict
from harness.verdict.judgement import EXIT_CODES
from tests.planted_journals import EXAMPLES, WORD_OF_EXAMPLE, examples
from tests.rendered_reports import REPORTS


@pytest.mark.parametrize(("name", "word"), WORD_OF_EXAMPLE.items())
def test_an_example_has_its_word(name: str, word: str) -> None:
    assert verdict([EXAMPLES / name]).worst.word == word


def test_every_example_is_committed() -> None:
    assert set(examples()) == set(WORD_OF_EXAMPLE)
    assert {path.name for path in EXAMPLES.iterdir()} == set(WORD_OF_EXAMPLE)
    assert set(WORD_OF_EXAMPLE.values()) == set(EXIT_CODES)


@pytest.mark.parametrize("name", ["reproduced", "below-the-margin", "two-seeds"])
def test_the_command_exits_with_the_words_code(name: str) -> None:
    command = [sys.executable, "-m", "harness", "verdict", str(EXAMPLES / name), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    document = json.loads(done.stdout)
    assert document["word"] == WORD_OF_EXAMPLE[name]
    assert done.returncode == EXIT_CODES[document["word"]]
    assert done.stderr == ""


def test_the_committed_real_runs_of_the_smoke_are_reproduced() -> None:
    (real,) = (REPORTS / "smoke-digits" / "runs").glob("smoke-*")
    command = [sys.executable, "-m", "harness", "verdict", str(real), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    document = json.loads(done.stdout)
    assert (document["word"], done.returncode) == ("reproduced", 0)
    assert [seed["seed"] for seed in document["seeds"]] == [1, 2, 3]


def test_wrong_input_exits_with_two_and_a_remedy(tmp_path: object) -> None:
    command = [sys.executable, "-m", "harness", "verdict", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "what to do" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_verdict_imports_no_tensorflow() -> None:
    code = (
        "import sys; from pathlib import Path; from harness.analysis.verdict import verdict; "
        f"verdict([Path({str(EXAMPLES / 'reproduced')!r})]); "
        "assert not {'tensorflow', 'keras', 'mlflow'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
