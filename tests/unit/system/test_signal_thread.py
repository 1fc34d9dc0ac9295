"""A signal is answered in time, also where the main thread is held in C."""

import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness.system.signal_thread import GRACE_S, SignalState

HELD = """
import hashlib, sys, time
from harness.system.signal_thread import SIGNAL_STATE, signal_thread
from harness.system.signals import STOPPING, Stopped, handled, raise_stopped

def hold():
    print("held", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"x", b"y", 200_000_000)  # a minute without an instruction

def sleep():
    print("held", flush=True)
    time.sleep(60)

with signal_thread(STOPPING), handled(raise_stopped):
    try:
        {what}
    except Stopped as stopped:
        print("unwound by", stopped.signal_name, flush=True)
        sys.exit(75)
"""


def held(what: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HELD.format(what=what)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    begun = psutil.Process(process.pid)
    before_s = begun.cpu_times().user
    while "hold()" in what and begun.cpu_times().user < before_s + 0.2:
        time.sleep(0.01)  # until the C function is at work
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_process_that_is_held_ends_by_the_first_signal(number: signal.Signals) -> None:
    process = held("hold()")
    process.send_signal(number)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 75
    assert f"stopped by {number.name}" in err
    assert "give the same command again" in err


def test_a_process_that_is_not_held_unwinds_as_usual() -> None:
    process = held("sleep()")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (75, "unwound by SIGTERM\n", "")


def test_what_can_be_saved_is_saved_and_said_and_a_second_ctrl_c_ends() -> None:
    process = held("exec('with SIGNAL_STATE.saving(\"a checkpoint\"): hold()')")
    assert process.stderr is not None
    process.send_signal(signal.SIGTERM)
    assert process.stderr.readline() == "harness: SIGTERM received: a checkpoint\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(GRACE_S + 0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "stopped by SIGINT" in err


def test_a_handler_that_ran_after_the_signal_is_an_answer() -> None:
    state, ended, waits = SignalState(), [], []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        state.answered()

    state.see(signal.SIGTERM, ended.append, wait)
    assert (len(waits), ended) == (1, [])
