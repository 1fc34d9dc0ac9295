"""What a request is refused for, the lock of a run, and signals as requests."""

import os
import signal
import socket
from contextlib import nullcontext
from pathlib import Path

import pytest
import tensorflow as tf

from harness.baselines import load_target
from harness.data.opening import FoundData, open_dataset
from harness.data.shape import DataShape
from harness.distributed.devices import Devices
from harness.distributed.signals import stop_on_signals
from harness.errors import DataError, MachineError, RecordError, RunLockedError, UsageError
from harness.preflight.estimate import Preflight
from harness.progress import SILENT
from harness.recipes.catalogue import find_recipe
from harness.recipes.normalisations import NORMALISATIONS
from harness.recipes.recipe import Recipe
from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.recipes.transfer import TRANSFER, TRANSFER_FROZEN, TRANSFER_SCRATCH
from harness.record.journal import JournalWriter, read_journal
from harness.record.run_folder import (
    RunFolder,
    begun_run,
    check_same_run,
    data_from,
    data_of,
    existing_journal,
    locked,
)
from harness.record.schema import Warned
from harness.runner import checks
from harness.runner.checks import data_of_target, other_passes
from harness.runner.rendezvous import _checked
from harness.runner.request import RunRequest, check_init, check_seeds
from harness.runner.scratch_baseline import scratch_recipe
from harness.system.folders import disk_errors
from tests.few_digits import every_nth_digit
from tests.record_samples import SampleRun, started, write_run


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((), "no seed was given"),
        ((1, 2, 1), "seed 1 was given more than once"),
        ((-1,), "seed -1 is out of range"),
        ((2**31,), "out of range"),
    ],
)
def test_seeds_that_are_refused(seeds: tuple[int, ...], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_seeds(seeds)


@pytest.mark.parametrize("seeds", [(0,), (1, 2, 3), (2**31 - 1,)])
def test_seeds_that_are_taken(seeds: tuple[int, ...]) -> None:
    check_seeds(seeds)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "begins with imported weights"),
        ({"recipe": SMOKE, "init": Path("w.h5")}, "draws all weights from the seed"),
        ({"recipe": SMOKE, "normalisation": NORMALISATIONS["tf"]}, "without --init"),
    ],
)
def test_initial_weights_go_with_recipes_that_take_them(
    changes: dict[str, object], words: str
) -> None:
    fields = {"recipe": TRANSFER, "settings": (), "data": Path(), "seeds": (1,), "runs": Path()}
    with pytest.raises(UsageError, match=words):
        check_init(RunRequest(**(fields | changes)))


@pytest.mark.parametrize("recipe", [TRANSFER, TRANSFER_FROZEN])
def test_the_recipe_from_scratch_is_found_by_its_digest(recipe: Recipe) -> None:
    assert scratch_recipe(recipe).name == TRANSFER_SCRATCH.name
    assert scratch_recipe(recipe).digest == TRANSFER_SCRATCH.digest


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("/data/imagenet", "/data/imagenet"),
        ("runs/datasets/digits", "../../datasets/digits"),
        ("../photographs", "../../../../photographs"),
    ],
)
def test_the_place_of_the_data_is_found_again_from_the_run(data: str, expected: str) -> None:
    folder = Path("runs/smoke-00000000/seed-1")
    recorded = data_from(folder, Path(data))
    assert recorded == expected
    assert data_of(folder, recorded) == Path(data)


def test_the_place_of_the_data_is_found_again_where_the_runs_folder_is_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "data").mkdir(parents=True)
    (tmp_path / "big" / "runs").mkdir(parents=True)
    (tmp_path / "work" / "runs").symlink_to(tmp_path / "big" / "runs")
    monkeypatch.chdir(tmp_path / "work")
    folder = Path("runs/smoke-00000000/seed-1")
    recorded = data_from(folder, Path("data"))
    for seen in (folder, folder.resolve()):
        found = data_of(seen.resolve(), recorded)
        assert found == tmp_path / "work" / "data"


def test_a_locked_run_names_its_holder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "seed-1")
    with locked(folder):
        me = f"process {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(RunLockedError, match=me), locked(folder):
            pass
    with locked(folder):
        pass


def test_a_run_that_cannot_have_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="cannot be written"),
        locked(RunFolder(tmp_path / "file" / "seed-1")),
    ):
        pass


@pytest.mark.parametrize(
    ("key", "root", "seed"), [("data root", "e" * 64, 1), ("seed", "d" * 64, 2)]
)
def test_a_folder_of_another_run_is_refused(tmp_path: Path, key: str, root: str, seed: int) -> None:
    journal = read_journal(write_run(tmp_path / "seed-1", SampleRun()))
    check_same_run(journal, SMOKE, "d" * 64, 1)
    with pytest.raises(RecordError, match=f"another {key}"):
        check_same_run(journal, SMOKE, root, seed)


def test_a_journal_without_an_event_is_no_run_yet(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert existing_journal(folder) is None
    folder.journal.write_bytes(b'{"event": "run_sta')
    assert existing_journal(folder) is None
    with JournalWriter(folder.journal) as writer:
        writer.append(started(SampleRun()))
    found = existing_journal(folder)
    assert found is not None
    assert found.started.seed == 1


def test_a_begun_run_is_read_again_only_where_its_journal_has_changed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert begun_run(folder) is None
    with JournalWriter(folder.journal) as writer:
        writer.append(started(SampleRun()))
        first = begun_run(folder)
        assert first is not None
        assert begun_run(folder, first) is first
        writer.append(Warned(time_s=2.0, step=0, topic="t", text="another process"))
    again = begun_run(folder, first)
    assert again is not None
    assert len(again.journal.warnings) == 1


def test_a_finished_run_is_kept_without_its_steps(tmp_path: Path) -> None:
    whole = read_journal(write_run(tmp_path / "seed-1", SampleRun()))
    begun = begun_run(RunFolder(tmp_path / "seed-1"))
    assert begun is not None
    assert whole.steps
    assert begun.journal.steps == ()
    assert begun.journal.finished == whole.finished
    assert begun.journal.evaluations == whole.evaluations


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.requested()
        signal.raise_signal(number)
        assert stop.requested()
        assert stop.signal_name == number.name
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_at_once() -> None:
    with stop_on_signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    ("number", "words"),
    [(28, "make room"), (27, "ulimit -f"), (30, "for writing")],
)
def test_disk_errors_in_words(number: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(MachineError) as error, disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert error.value.exit_code == 2
    assert os.strerror(number) in str(error.value)
    assert words in str(error.value)


ZHONG = find_recipe("zhong2020-fashion-resnet20")


def request_for(recipe: Recipe, settings: tuple[str, ...] = (), **fields: object) -> RunRequest:
    values = {"data": Path("data"), "seeds": (1,), "runs": Path("runs")} | fields
    return RunRequest(recipe=with_settings(recipe, settings), settings=settings, **values)


@pytest.mark.parametrize(
    ("recipe", "settings", "images", "said"),
    [
        (ZHONG, (), 60_000, None),
        (ZHONG, ("batch=64",), 60_000, "469 steps, which show 30,016 images, and there are 60,000"),
        (ZHONG, ("batch=64",), 60_000, "--set steps_per_epoch=938 makes it one pass"),
        (ZHONG, (), 50_000, "which show 60,032 images, and there are 50,000"),
        (ZHONG, (), 60, "--set steps_per_epoch=1 "),
        (ZHONG, ("linear_scaling=64",), 60_000, None),
        (ZHONG, ("linear_scaling=1024",), 60_000, None),
        (ZHONG, ("batch=64", " steps_per_epoch = 469"), 60_000, None),
        (SMOKE, (), 1_442, None),
    ],
)
def test_steps_of_an_epoch_that_do_not_fit_batch_or_data_are_said(
    recipe: Recipe, settings: tuple[str, ...], images: int, said: str | None
) -> None:
    found = other_passes(request_for(recipe, settings), images)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")


@pytest.mark.parametrize("settings", [(), ("batch=64",)])
def test_other_passes_are_said_before_the_first_step(
    monkeypatch: pytest.MonkeyPatch, settings: tuple[str, ...]
) -> None:
    shape = DataShape(60_000, 10_000, tuple("0123456789"), looks_like_imagenet=False)
    monkeypatch.setattr(checks, "data_shape", lambda _: shape)
    estimate = Preflight((1,), (1.0,), None, (1.0,), 1, 2, 1e9)
    monkeypatch.setattr(checks, "preflight", lambda *_, **__: estimate)
    said: list[str] = []
    found = FoundData(Path("data"), None, None)
    checks.check_before_run(request_for(ZHONG, settings), found, {}, said.append)
    assert ["warning: an epoch" in text for text in said] == [False, *([True] if settings else [])]


def test_data_of_a_target_is_known_by_its_digest_or_refused(tmp_path: Path) -> None:
    data = open_dataset(every_nth_digit(tmp_path / "digits", 12), manifests=tmp_path / "manifests")
    smoke = load_target("smoke")
    with pytest.raises(DataError, match="train_images is 1") as caught:
        data_of_target(data, smoke, tmp_path / "digits")
    assert "harness prepare" in str(caught.value.remedy)
    binding = smoke.data.model_copy(
        update={
            "root_digest": data.identity.root_digest,
            "train_images": len(data.train),
            "val_images": len(data.val),
        }
    )
    target = smoke.model_copy(update={"data": binding})
    assert data.identity.kind == "other"
    assert data_of_target(data, target, tmp_path / "digits").identity.kind == "digits"


@pytest.mark.parametrize("named", [True, False])
def test_a_run_for_a_target_is_refused_on_other_data_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setattr(checks, "check_before_run", lambda *_: None)
    request = request_for(
        SMOKE,
        data=every_nth_digit(tmp_path / "digits", 12),
        runs=tmp_path / "runs",
        target=load_target("smoke") if named else None,
    )
    one = Devices(tf.distribute.get_strategy(), ("CPU",))
    with nullcontext() if not named else pytest.raises(DataError, match="smoke-digits-ten-crop"):
        _checked(request, {}, one, print, SILENT)
