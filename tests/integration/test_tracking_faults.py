"""A real MLflow server behind a stand-in for what happens to servers: nothing lost or doubled.

The stand-in is a proxy that answers with errors, late, or not at all after the server has
done what it was asked for.
"""

import itertools
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.record.journal import JournalWriter, read_journal
from harness.record.schema import AnyEvent
from harness.tracking.client import EXPERIMENT, Tracker, default_tracking_uri
from harness.tracking.mirror import MirrorOutcome, open_mirror, sync_run
from harness.tracking.nested import PARENT_TAG
from harness.tracking.rows import RUN_TAG
from harness.tracking.ui import serving
from tests.record_samples import SampleRun, events, write_run, write_start_files

pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy:DeprecationWarning",  # SQLAlchemy 2.1 under MLflow 3.17
    "ignore::ResourceWarning",  # MLflow leaves its engines open
)
STEPS = [80, 160, 240]
Fault = Callable[[int, str], str]
"""From a request's number and path to `""`, `before` (an error instead) or `after` (no answer)."""


class Proxy(BaseHTTPRequestHandler):
    """Hands requests on to the server, but for the faults."""

    protocol_version = "HTTP/1.0"

    def _hand_on(self) -> None:
        server = self.server
        number = next(server.numbers)  # type: ignore[attr-defined]
        fault = server.fault(number, self.path)  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if fault == "before":
            self._answer(500, b"Internal Server Error: database or disk is full")
            return
        time.sleep(server.delay_s)  # type: ignore[attr-defined]
        request = urllib.request.Request(
            server.target + self.path,  # type: ignore[attr-defined]
            data=body or None,
            method=self.command,
            headers={"Content-Type": self.headers.get("Content-Type") or "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        if fault == "after":
            self.close_connection = True
            return
        self._answer(status, content)

    def _answer(self, status: int, content: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            return  # the client has given up waiting

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _hand_on  # noqa: N815 - names of the library

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    Tracker(default_tracking_uri(folder), "made before the server")
    with serving(folder) as (address, _process):
        yield address


@pytest.fixture
def proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    for name, value in {"MAX_RETRIES": "1", "BACKOFF_FACTOR": "0", "BACKOFF_JITTER": "0"}.items():
        monkeypatch.setenv(f"MLFLOW_HTTP_REQUEST_{name}", value)
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.daemon_threads = True
    proxy.numbers = itertools.count()  # type: ignore[attr-defined]
    proxy.fault = lambda _number, _path: ""  # type: ignore[attr-defined]
    proxy.delay_s = 0.0  # type: ignore[attr-defined]
    proxy.target = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield proxy
    proxy.shutdown()
    thread.join()
    proxy.server_close()


def uri(proxy: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{proxy.server_port}"


def mirrored(folder: Path, run: SampleRun, address: str, study: str) -> MirrorOutcome:
    """A run's events one after the other, as a training publishes them."""
    write_start_files(folder, run)
    clock = itertools.count(0, 31)
    mirror = open_mirror(
        tracking_uri=address, run_dir=folder, study=study, system_every_s=None,
        retry_s=30.0, now=lambda: float(next(clock)),
    )  # fmt: skip
    with JournalWriter(folder / "journal.jsonl") as journal:

        def happen(event: AnyEvent) -> None:
            journal.append(event)
            begun = time.perf_counter()
            mirror.publish(event)
            assert time.perf_counter() - begun < 0.5

        for event in events(folder, run):
            happen(event)
    return mirror.close(120)


def check_once(server: str, study: str, runs: int) -> None:
    """One parent, one child a run, each window once."""
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    of_study = client.search_runs([experiment], f"tags.`harness.study` = '{study}'")
    parents = [r for r in of_study if PARENT_TAG not in r.data.tags]
    children = [r for r in of_study if PARENT_TAG in r.data.tags]
    assert (len(parents), len(children)) == (1, runs)
    assert len({r.data.tags[RUN_TAG] for r in children}) == runs
    for child in children:
        assert child.data.tags[PARENT_TAG] == parents[0].info.run_id
        steps = [m.step for m in client.get_metric_history(child.info.run_id, "loss")]
        assert sorted(steps) == STEPS
        assert child.info.status == "FINISHED"


FAULTS: dict[str, Fault] = {
    "an error every third time": lambda number, _path: "before" if number % 3 == 1 else "",
    "errors for a while": lambda number, _path: "before" if 4 < number < 12 else "",
    "no answer to what creates a run": lambda _number, path: (
        "after" if path.endswith("runs/create") else ""
    ),
    "no answer every fourth time": lambda number, _path: "after" if number % 4 == 2 else "",
}


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_lost_or_doubled(
    name: str, server: str, proxy: ThreadingHTTPServer, tmp_path: Path
) -> None:
    study = name.replace(" ", "-")
    asked_once: set[str] = set()
    fault = FAULTS[name]

    def once(number: int, path: str) -> str:
        """The second try of what got no answer gets one: a fault that never ends is an outage."""
        found = fault(number, path)
        if found == "after" and path in asked_once:
            return ""
        asked_once.add(path) if found == "after" else None
        return found

    proxy.fault = once  # type: ignore[attr-defined]
    folder = tmp_path / study / "seed-1"
    mirrored(folder, SampleRun(seed=10 + list(FAULTS).index(name)), uri(proxy), study)
    proxy.fault = lambda _number, _path: ""  # type: ignore[attr-defined]
    # What did not arrive meanwhile is sent later, twice for good measure.
    for _ in range(2):
        sync_run(read_journal(folder), tracking_uri=uri(proxy), study=study)
    check_once(server, study, runs=1)


def test_a_slow_server_holds_nobody(
    server: str, proxy: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for 30 s an answer: slower than the client waits for, all in hundredths."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    proxy.delay_s = 2.0  # type: ignore[attr-defined]
    folder = tmp_path / "slow" / "seed-1"
    outcome = mirrored(folder, SampleRun(seed=20), uri(proxy), "slow")
    assert not outcome.complete
    proxy.delay_s = 0.0  # type: ignore[attr-defined]
    sync_run(read_journal(folder), tracking_uri=uri(proxy), study="slow")
    check_once(server, "slow", runs=1)


def test_seeds_and_studies_at_once(server: str, tmp_path: Path) -> None:
    """Two studies of three seeds begin at one moment: each has one parent."""
    runs = [("left", 31), ("left", 32), ("left", 33), ("right", 41), ("right", 42), ("right", 43)]
    together = threading.Barrier(len(runs))

    def run(one: tuple[str, int]) -> MirrorOutcome:
        study, seed = one
        folder = tmp_path / study / f"seed-{seed}"
        together.wait()
        return mirrored(folder, SampleRun(seed=seed), server, study)

    with ThreadPoolExecutor(len(runs)) as pool:
        outcomes = list(pool.map(run, runs))
    assert all(outcome.complete for outcome in outcomes), [o.reason for o in outcomes]
    for study in ("left", "right"):
        check_once(server, study, runs=3)


@pytest.mark.slow
def test_a_hundred_runs_in_one_experiment(server: str, tmp_path: Path) -> None:
    durations = []
    for seed in range(100, 200):
        folder = write_run(tmp_path / "hundred" / f"seed-{seed}", SampleRun(seed=seed))
        begun = time.perf_counter()
        sync_run(read_journal(folder), tracking_uri=server, study="hundred")
        durations.append(time.perf_counter() - begun)
    check_once(server, "hundred", runs=100)
    first, last = sorted(durations[:20])[10], sorted(durations[-20:])[10]
    assert last < 3 * first
