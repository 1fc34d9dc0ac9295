"""TensorFlow's import: what it holds back, and what it leaves out."""

import importlib
import os
import subprocess
import sys
import threading

import pytest

from harness.numerics.tensorflow_import import absent, show_stderr, withheld_stderr
from harness.progress import Progress

IMPORT = """
import sys
from harness.numerics.tensorflow_import import UNUSED, import_tensorflow
import_tensorflow()
print(sorted(name for name in UNUSED if name in sys.modules))
import pandas
print(pandas.DataFrame({"a": [1, 2]}).a.sum())
"""


def test_the_import_leaves_out_what_is_not_used_and_it_can_be_imported_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["[]", "3"]


def test_a_package_is_absent_only_inside() -> None:
    assert "this" not in sys.modules
    with absent(("this",)), pytest.raises(ImportError):
        importlib.import_module("this")
    assert "this" not in sys.modules


def test_a_package_that_is_loaded_stays() -> None:
    with absent(("json",)):
        assert importlib.import_module("json").dumps([1]) == "[1]"
    assert "json" in sys.modules


def test_an_exception_ends_the_absence() -> None:
    with pytest.raises(ZeroDivisionError), absent(("this",)):
        raise ZeroDivisionError
    assert "this" not in sys.modules


def test_stderr_is_shown_after_an_exception_only(capfd: pytest.CaptureFixture[str]) -> None:
    def write(text: bytes, divisor: int) -> None:
        with withheld_stderr():
            os.write(2, text)
            assert 1 // divisor

    write(b"held back", 1)
    assert capfd.readouterr().err == ""
    with pytest.raises(ZeroDivisionError):
        write(b"told", 0)
    assert capfd.readouterr().err == "told"


def test_a_thread_that_ends_the_process_can_tell_why_meanwhile(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def last_words() -> None:
        show_stderr()
        os.write(2, b"lost")

    show_stderr()  # nothing is withheld
    with withheld_stderr():
        os.write(2, b"held back")
        thread = threading.Thread(target=last_words)
        thread.start()
        thread.join()
    os.write(2, b", after")
    assert capfd.readouterr().err == "lost, after"


def test_words_of_progress_come_through_while_output_is_withheld(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with withheld_stderr():
        os.write(2, b"noise\n")
        Progress(terminal=False, ticking=False).note("starting TensorFlow")
        assert "starting TensorFlow" in capfd.readouterr().err
    assert "noise" not in capfd.readouterr().err
