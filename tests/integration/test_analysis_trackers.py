"""A tracker that the reader names is asked whether a seed was run more than once, no other."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.analysis.verdict import verdict
from harness.tracking.known_runs import known_at
from harness.tracking.mirror import EXPERIMENT
from tests.manipulations import GOOD, as_known, registered, tracker
from tests.planted_journals import study

SECOND = "seed 2 was run more than once: MLflow's run another-, deleted"


class Answers(BaseHTTPRequestHandler):
    """MLflow's two answers, as its REST API documents them; runs come in pages of one."""

    runs: list[dict[str, str]]
    requests: int

    def do_GET(self) -> None:
        self._answer({"experiment": {"experiment_id": "7", "name": EXPERIMENT}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["run_view_type"] == "ALL"
        digest = asked["filter"].split("'")[1]
        found = [one for one in self.runs if one["recipe_digest"] == digest]
        at = int(asked.get("page_token") or 0)
        document: dict[str, object] = {"runs": [_as_run(one) for one in found[at : at + 1]]}
        if at + 1 < len(found):
            document["next_page_token"] = str(at + 1)
        self._answer(document)

    def _answer(self, document: dict[str, object]) -> None:
        type(self).requests += 1
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        return


def _as_run(known: dict[str, str]) -> dict[str, object]:
    pairs = [{"key": key, "value": value} for key, value in known.items()]
    info = {"run_id": known["harness.run_id"], "experiment_id": "7", "lifecycle_stage": "deleted"}
    metrics = [{"key": "top1_accuracy", "value": 0.5, "timestamp": 1, "step": 1}]
    return {"info": info, "data": {"tags": pairs, "params": pairs, "metrics": metrics}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Answers, "runs", [], raising=False)
    monkeypatch.setattr(Answers, "requests", 0, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def kept_runs(folder: Path, named: str | None) -> tuple[Path, list[dict[str, str]]]:
    """Three good runs, and what a tracker knows: the second's own run and a diverged one."""
    runs = study(folder / "runs" / "study", [replace(r, tracker=named) for r in registered(*GOOD)])
    gone = as_known(runs / "seed-2", harness__run_id="another-run", status="diverged")
    return runs, [as_known(runs / "seed-2"), gone]


def test_a_server_is_asked(tmp_path: Path, server: str) -> None:
    runs, Answers.runs = kept_runs(tmp_path, server)
    judged = verdict([runs], tracking_uri=server)
    assert judged.exit_code == 3
    assert any(SECOND in reason for reason in judged.each[0].reasons)
    assert not any("was not asked" in note for note in judged.notes)


def test_a_sqlite_file_elsewhere_is_asked(tmp_path: Path) -> None:
    runs, known = kept_runs(tmp_path, None)
    (tmp_path / "elsewhere").mkdir()
    tracker(tmp_path / "elsewhere", {str(i): one for i, one in enumerate(known)})
    judged = verdict([runs], tracking_uri=f"sqlite:///{tmp_path}/elsewhere/mlflow.db")
    assert any(SECOND in reason for reason in judged.each[0].reasons)


def test_an_address_that_only_a_journal_names_is_not_called(tmp_path: Path, server: str) -> None:
    runs, Answers.runs = kept_runs(tmp_path, server)
    judged = verdict([runs])
    assert judged.exit_code == 0
    (words,) = (note for note in judged.notes if "--tracking-uri" in note)
    assert words.startswith(f"the tracker at {server}, which a journal names, was not asked")
    assert Answers.requests == 0


def test_a_tracker_that_is_gone_is_named_and_changes_nothing(tmp_path: Path) -> None:
    runs, _ = kept_runs(tmp_path, None)
    for address, words in (
        (f"sqlite:///{tmp_path}/gone/mlflow.db", "the tracker's file mlflow.db cannot be read"),
        ("http://127.0.0.1:9", "the tracker at http://127.0.0.1:9 "),
    ):
        judged = verdict([runs], tracking_uri=address)
        assert judged.exit_code == 0
        (note,) = (note for note in judged.notes if "run more than once is not known" in note)
        assert note.startswith(words)


def test_a_tracker_that_is_slow_is_not_waited_for() -> None:
    forever = threading.Event()

    class Silent(Answers):
        def do_GET(self) -> None:
            forever.wait(30)

    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{listening.server_address[1]}"
        (words,) = known_at(address, "0" * 64, longest_s=0.2).unasked
        forever.set()
        listening.shutdown()
    assert words.startswith(f"the tracker at {address} took longer than 0.2 s")
