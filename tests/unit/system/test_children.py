"""Python in a process of its own: whose code it runs, and when it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import harness
from harness.errors import MachineError
from harness.system import children
from harness.system.children import child_environment, module_path, python_words, run_python
from harness.system.proxies import without_proxies

ROOT = Path(harness.__file__).resolve().parents[1]
TELL = "import json, os, sys, harness; print(json.dumps([harness.__file__, sys.argv[1:]]))"
START = (
    "import sys; from harness.system.children import start_python; "
    "child = start_python('idle_for_test'); print(child.pid, flush=True); child.wait()"
)


@pytest.fixture
def foreign_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a `harness` of its own and a module named as one of Python's."""
    clone = tmp_path / "clone"
    (clone / "harness").mkdir(parents=True)
    for name in ("harness/__init__.py", "runpy.py", "random.py", "json.py"):
        (clone / name).write_text("raise SystemExit('the other one')\n")
    monkeypatch.chdir(clone)
    return clone


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Modules that a child can run, in a folder of the parent's search path."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "tell_for_test.py").write_text(TELL)
    (folder / "idle_for_test.py").write_text("import time; time.sleep(600)")
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.usefixtures("foreign_clone", "tools")
def test_a_child_runs_the_parents_code_inside_another_clone() -> None:
    done = run_python("tell_for_test", "--word", "two words")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [harness.__file__, ["--word", "two words"]]


@pytest.mark.usefixtures("foreign_clone", "tools")
def test_the_parent_may_be_a_module_of_its_working_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `python -c` in a clone has it: an empty entry, and none for the package."""
    without = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
    monkeypatch.setattr(sys, "path", ["", *without])
    assert module_path()[0] == str(ROOT)
    assert json.loads(run_python("tell_for_test").stdout)[0] == harness.__file__


def test_a_folder_that_no_search_path_can_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "PACKAGE_ROOT", tmp_path / "a:b")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(MachineError, match="ends a name in a search path"):
        module_path()


def test_a_childs_children_are_isolated_as_well() -> None:
    environment = child_environment({"PATH": "/bin", "http_proxy": "http://proxy:3128"})
    assert environment["PYTHONSAFEPATH"] == "1"
    assert str(ROOT) in environment["PYTHONPATH"].split(os.pathsep)
    assert environment["PATH"] == "/bin"
    assert environment["no_proxy"] == environment["NO_PROXY"] == "localhost,127.0.0.1,::1"


@pytest.mark.usefixtures("tools")
def test_no_child_outlives_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", START],
        env=child_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    child.wait(30)


def test_a_leader_of_a_session_takes_its_own_children_along(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "os.setsid()\n"
        "from harness.system import parent\n"
        "parent.LOOK_S = 0.05\n"
        f"grandchild = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(grandchild.pid))\n"
        "parent.end_with_parent(1 if os.getppid() != 1 else 2)\n"  # it is gone already
        "time.sleep(600)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=child_environment(), check=False)
    assert done.returncode == -signal.SIGTERM
    grandchild = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 30
    while psutil.pid_exists(grandchild) and _runs(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_command_line_names_parent_and_module() -> None:
    words = python_words("harness", "run", "smoke", parent=7)
    assert words[1:] == ["-P", "-m", "harness.system.child", "7", "harness", "run", "smoke"]


@pytest.mark.parametrize(
    ("environ", "hosts", "expected"),
    [
        ({}, (), "localhost,127.0.0.1,::1"),
        ({"no_proxy": "*"}, ("host1",), "*"),
        ({"no_proxy": "a.b, localhost"}, ("host1",), "a.b,localhost,127.0.0.1,::1,host1"),
        ({"NO_PROXY": "a.b"}, (), "a.b,localhost,127.0.0.1,::1"),
        ({"no_proxy": "", "NO_PROXY": "c"}, (), "c,localhost,127.0.0.1,::1"),
    ],
)
def test_this_machine_is_exempt_from_proxies(
    environ: dict[str, str], hosts: tuple[str, ...], expected: str
) -> None:
    assert without_proxies(environ, hosts)["no_proxy"] == expected
    assert without_proxies(without_proxies(environ, hosts), hosts) == (
        without_proxies(environ, hosts)
    )


def test_a_list_that_only_grpc_reads_is_completed_too() -> None:
    found = without_proxies({"no_grpc_proxy": "a"}, ("h",))
    assert found["no_grpc_proxy"] == "a,localhost,127.0.0.1,::1,h"
