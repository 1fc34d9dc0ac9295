"""MLflow: whether it can be imported and takes runs, and how long that takes."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.doctor.lines import Line
from harness.system.children import run_python

TIMEOUT_S = 60.0
SLOW_S = 30.0
WITHOUT = "train with --no-tracking, and send the journals later with `harness sync`"


def tracker_line(runs: Path, uri: str | None = None) -> Line:
    """Ask the tracker without changing anything there, and time a run in a database of its own."""
    from harness.tracking.places import tracker_of

    with tempfile.TemporaryDirectory(dir=runs, prefix=".doctor-") as folder:
        try:
            done = run_python(
                "harness.doctor.tracker", tracker_of(runs, uri), folder, timeout_s=TIMEOUT_S
            )
        except subprocess.TimeoutExpired:
            return Line("mlflow", "wrong", f"no answer within {TIMEOUT_S:g} s", WITHOUT)
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["no words"])[-1]
        return Line("mlflow", "wrong", words, f"install requirements.lock; or {WITHOUT}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    if figures["refusal"]:
        words, remedy = figures["refusal"]
        return Line("mlflow", "wrong", words, remedy, figures)
    found = (
        f"{figures['version']} imported in {figures['import_s']:.1f} s, a new database takes a run "
        f"in {figures['run_s']:.1f} s"
    )
    if figures["outage"]:
        return Line("mlflow", "note", f"{found}; {figures['outage']}", WITHOUT, figures)
    if figures["import_s"] + figures["run_s"] > SLOW_S:
        return Line("mlflow", "slow", found, f"a run waits so long at both ends; or {WITHOUT}",
                    figures)  # fmt: skip
    return Line("mlflow", "ok", found, figures=figures)


def main() -> None:
    """Import MLflow, ask the tracker, write a run to a database in a folder; a line of JSON."""
    uri, folder = sys.argv[1:]
    begin = time.perf_counter()
    import mlflow

    from harness.errors import TrackerError
    from harness.tracking.check import check_tracker

    imported = time.perf_counter()
    outage, refusal = "", None
    try:
        outage = check_tracker(uri)
    except TrackerError as error:
        refusal = (error.found, error.remedy or WITHOUT)
    asked = time.perf_counter()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    with mlflow.start_run():
        mlflow.log_metric("doctor", 1.0)
    figures = {
        "version": mlflow.__version__,
        "import_s": imported - begin,
        "ask_s": asked - imported,
        "run_s": time.perf_counter() - asked,
        "outage": outage,
        "refusal": refusal,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
