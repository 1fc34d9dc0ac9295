import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.analysis.bundle import bundle
from harness.analysis.verify import verify
from harness.cli.judge.bundle import command as bundle_command
from harness.cli.judge.verify import command as verify_command
from harness.errors import DifferenceFoundError, RecordError, UsageError
from harness.record.bundle import BundleMember, extract_bundle, write_bundle
from harness.record.journal import read_journal
from tests.chained_journals import events_of, rewrite
from tests.record_samples import SampleRun, certificate_of, write_run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "smoke-00000000"
    for seed in (1, 2):
        run = write_run(folder / f"seed-{seed}", SampleRun(seed=seed, top1_correct=195 + seed))
        state = run / "checkpoints" / "step-0000000240"
        state.mkdir(parents=True)
        (state / "checkpoint.json").write_text("{}")
        (state / "state.npz").write_bytes(b"weights")
    return folder


@pytest.fixture(scope="module")
def packed(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "b.tar"
    bundle((study,), path)
    return path


def test_every_number_follows_from_the_raw_parts(packed: Path) -> None:
    done = verify(packed)
    assert (done.runs, done.recounted) == (2, 4)
    assert done.cells > 100
    assert "all equal" in done.text()


def test_without_tensorflow_and_mlflow_in_another_process(packed: Path) -> None:
    code = (
        "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; "
        "sys.modules['mlflow'] = None; from harness.cli.main import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", str(packed), "--json"],
        check=True, capture_output=True, cwd="/",
    )  # fmt: skip
    assert json.loads(done.stdout)["sha256"] == verify(packed).sha256


def test_the_commands(study: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.tar"
    made = CliRunner().invoke(bundle_command, [str(study), "--out", str(out), "--json"])
    digest = json.loads(made.stdout)["sha256"]
    assert CliRunner().invoke(verify_command, [str(out), "--sha256", digest]).exit_code == 0
    with pytest.raises(RecordError, match=digest) as other:
        verify(out, expected_sha256="0" * 64)
    assert other.value.exit_code == 2
    with pytest.raises(UsageError, match="cannot be read"):
        verify(tmp_path / "none.tar")


def test_a_changed_byte_in_a_journal_is_named(packed: Path, tmp_path: Path) -> None:
    raw = packed.read_bytes()
    place = raw.index(b'"top1_correct":196') + len(b'"top1_correct":19')
    altered = tmp_path / "b.tar"
    altered.write_bytes(raw[:place] + b"9" + raw[place + 1 :])
    with pytest.raises(RecordError, match=r"seed-1/journal\.jsonl was altered"):
        verify(altered)


def forged(packed: Path, tmp_path: Path, member: str, old: bytes, new: bytes) -> Path:
    """The bundle with a member changed and every digest of the container made right again."""
    index = extract_bundle(packed, tmp_path / "members")
    members = {}
    for one in index.members:
        data = (tmp_path / "members" / one.name).read_bytes()
        if one.name.endswith(member):
            assert old in data
            data = data.replace(old, new)
            if member.endswith("journal.jsonl"):
                (tmp_path / "journal.jsonl").write_bytes(data)
                rewrite(tmp_path / "journal.jsonl", events_of(tmp_path / "journal.jsonl"))
                data = (tmp_path / "journal.jsonl").read_bytes()
        members[one.name] = BundleMember(data=data)
    path = tmp_path / "forged.tar"
    write_bundle(path, members, reported=index.reported, harness_version=index.harness_version)
    return path


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (b'"top1_correct":196', b'"top1_correct":199', "top-1 hits"),
        (b'"top5_correct":198', b'"top5_correct":199', "top-5 hits"),
        (b'"nesterov":true', b'"nesterov":false', "recipe's digest"),
        (b'"xla":false', b'"xla":true', "digest"),
        (b'"mirror":true', b'"mirror":false', "digest"),
        (b'"predictions_digest":"', b'"predictions_digest":"f', "malformed"),
        (b'"loss":[', b'"loss":[9e9,', "malformed"),
    ],
)
def test_a_forged_journal_contradicts_the_other_parts(
    packed: Path, tmp_path: Path, old: bytes, new: bytes, what: str
) -> None:
    path = forged(packed, tmp_path, "seed-1/journal.jsonl", old, new)
    with pytest.raises((DifferenceFoundError, RecordError), match=what):
        verify(path)


def test_a_forged_time_is_found_in_the_report(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "members"
    extract_bundle(packed, folder)
    (journal,) = folder.glob("runs/*/seed-1/journal.jsonl")
    time = str(read_journal(journal).steps[0].step_time_s[5]).encode()
    path = forged(packed, tmp_path / "again", "seed-1/journal.jsonl", time, b"0.05")
    with pytest.raises(DifferenceFoundError, match="when computed again"):
        verify(path)


def test_a_forged_report_is_found(packed: Path, tmp_path: Path) -> None:
    index = extract_bundle(packed, tmp_path / "m")
    members = {m.name: BundleMember(tmp_path / "m" / m.name) for m in index.members}
    reported = json.loads(json.dumps(index.reported).replace("98.00 %", "99.00 %"))
    path = tmp_path / "forged.tar"
    write_bundle(path, members, reported=reported, harness_version=index.harness_version)
    with pytest.raises(DifferenceFoundError, match=r"98\.00 %"):
        verify(path)


def test_a_torn_journal_is_packed_as_it_is_and_names_no_place(tmp_path: Path) -> None:
    study = tmp_path / "runs" / "smoke-00000000"
    for seed in (1, 2):
        write_run(study / f"seed-{seed}", SampleRun(seed=seed))
    journal, file = study / "seed-2" / "journal.jsonl", study / "seed-2" / "certificate.json"
    file.write_text(certificate_of(study / "seed-2").model_dump_json())
    journal.write_bytes(journal.read_bytes()[:-100])
    path = tmp_path / "b.tar"
    bundle((study,), path)
    assert str(tmp_path).encode() not in path.read_bytes()
    done = verify(path)
    assert done.runs == 2
    assert "smoke-00000000/seed-2/certificate.json: not counted" in done.text()
    index = extract_bundle(path, tmp_path / "members")
    (torn,) = [text for text in index.reported["judgement"]["warnings"] if "torn" in text]
    assert torn.startswith("smoke-00000000/seed-2: ")
    file.write_text(certificate_of(study / "seed-1").model_dump_json())
    bundle((study,), path)
    with pytest.raises(DifferenceFoundError, match="seed 1 instead of 2"):
        verify(path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"run_id": "another", "seed": 1}, "run id another"),
        ({"journal_digest": "0" * 64}, "sha256 of the journal"),
    ],
)
def test_a_certificate_of_another_run_is_found(
    tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    run = write_run(tmp_path / "smoke-00000000" / "seed-2", SampleRun(seed=2))
    file, path = run / "certificate.json", tmp_path / "b.tar"
    file.write_text(certificate_of(run).model_dump_json())
    bundle((run,), path)
    assert verify(path).runs == 1
    file.write_text(certificate_of(run, **changes).model_dump_json())
    bundle((run,), path)
    with pytest.raises(DifferenceFoundError, match=f"states another journal: {named}"):
        verify(path)


def test_weights_on_request(study: Path, tmp_path: Path) -> None:
    done = bundle((study,), tmp_path / "b.tar", weights=True)
    without = bundle((study,), tmp_path / "c.tar")
    assert done.members == without.members + 2
    with pytest.raises(DifferenceFoundError, match="checkpoint's digest"):
        verify(tmp_path / "b.tar")  # the sample's weights are not what its journal says


def test_two_runs_with_one_place_are_refused(study: Path, tmp_path: Path) -> None:
    twin = write_run(tmp_path / study.name / "seed-1", SampleRun(seed=1))
    with pytest.raises(RecordError, match="same study and seed"):
        bundle((study, twin), tmp_path / "b.tar")
