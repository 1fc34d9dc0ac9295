import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from harness.analysis.inventory import _length
from harness.cli.listing import command
from harness.errors import UsageError
from harness.models.catalogue import describe, names
from harness.recipes.catalogue import RECIPES
from harness.recipes.protocol import Protocol
from harness.recipes.protocol_catalogue import PROTOCOLS
from harness.recipes.settings import with_settings
from harness.recipes.smoke import SMOKE
from harness.record.journal import JournalWriter
from tests.record_samples import SampleRun, started


def listed(*words: str) -> str:
    result = CliRunner().invoke(command, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_models_are_listed_with_exact_counts() -> None:
    text = listed("models")
    for name in names():
        (line,) = [line for line in text.splitlines() if line.split()[0] == name]
        assert f"{describe(name).trainable:,}" in line
        assert f"{describe(name).total:,}" in line


def test_a_class_count_changes_the_counts() -> None:
    entries = {e["name"]: e for e in json.loads(listed("models", "--classes", "10", "--json"))}
    assert entries["apm5-resnet50-v2"]["trainable_parameters"] == 25_548_352 - 990 * 2048


def test_channels_change_the_first_layer() -> None:
    for channels, count in (("1", 272_186), ("3", 272_474)):
        words = ("models", "--classes", "10", "--channels", channels, "--json")
        entries = {e["name"]: e for e in json.loads(listed(*words))}
        entry = entries["he2015-cifar-resnet20-b"]
        assert (entry["trainable_parameters"], entry["channels"]) == (count, int(channels))
        assert entry["image_size"] == 32


def test_a_recipes_length_is_told_as_it_is_counted() -> None:
    lengths = {line.split()[0]: line for line in listed("recipes").splitlines()}
    assert " 51 epochs " in lengths["apm5-resnet50"]
    assert " 64,000 steps " in lengths["he2015-cifar10-resnet20"]
    mixed = with_settings(SMOKE, ("phases.0.steps=7",))
    assert _length(mixed) == "8 epochs + 7 steps"


def test_protocols_print_each_field() -> None:
    table, note = listed("protocols").split("\n\n")
    assert "Class order is no field" in note
    lines = {line.split()[0]: line for line in table.splitlines()}
    assert set(lines) == {"field", "digest", *Protocol.model_fields} - {"name"}
    for protocol in PROTOCOLS.values():
        assert protocol.digest[:8] in lines["digest"]


def test_recipes_and_baselines_are_listed_whole() -> None:
    assert [e["name"] for e in json.loads(listed("recipes", "--json"))] == list(RECIPES)
    assert "77.72 %" in listed("baselines")


def test_targets_are_listed_with_what_decides() -> None:
    table = {line.split()[0]: line for line in listed("targets").splitlines()}
    line = table["zhong2020-fashion-resnet20"]
    for shown in ("95.61 %", "best_epoch", "0.25 points", "1, 2, 3", "target-zhong2020-fashion-"):
        assert shown in line
    assert "at least 97 %" in table["smoke-digits-ten-crop"]
    assert "95.216 %" in table["chenbill-fashion-resnet20"]
    entries = {entry["name"]: entry for entry in json.loads(listed("targets", "--json"))}
    assert set(entries) == set(table) - {"target"}
    assert entries["apm5-resnet50-ten-crop"]["file"] == "target.toml"


def test_runs_are_listed_with_their_state(tmp_path: Path) -> None:
    assert "no runs" in listed("runs", "--runs", str(tmp_path))
    with JournalWriter(tmp_path / "study" / "seed-1" / "journal.jsonl") as journal:
        journal.append(started(SampleRun()))
    broken = tmp_path / "study" / "seed-2" / "journal.jsonl"
    broken.parent.mkdir()
    broken.write_text("{}\n")
    first, second = json.loads(listed("runs", "--runs", str(tmp_path), "--json"))
    assert (first["status"], first["step"]) == ("unfinished", 0)
    assert second["status"].startswith("unreadable: ")


def test_lists_need_no_tensorflow() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from harness.cli.listing import command\n"
        "for what in ('recipes', 'models', 'targets', 'baselines', 'protocols', 'runs'):\n"
        "    assert CliRunner().invoke(command, [what]).exit_code == 0\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_baselines_are_filtered_by_protocol() -> None:
    ten = json.loads(listed("baselines", "--protocol", "ten_crop", "--json"))
    assert {row["protocol"]["name"] for row in ten} == {"ten_crop"}
    assert 0 < len(ten) < len(json.loads(listed("baselines", "--json")))
    result = CliRunner().invoke(command, ["baselines", "--protocol", "eleven_crop"])
    assert isinstance(result.exception, UsageError)
    assert "ten_crop" in str(result.exception)
