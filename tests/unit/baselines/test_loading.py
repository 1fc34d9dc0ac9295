"""The committed baseline files, and what the loader refuses."""

from pathlib import Path
from statistics import fmean, stdev

import pytest
from click import Command
from click.testing import CliRunner

from harness.baselines import load_baselines, load_target
from harness.cli.judge.plan import command as plan
from harness.cli.judge.verdict import command as verdict
from harness.cli.train.reproduce import command as reproduce
from harness.errors import BaselineError
from harness.recipes.protocol import center_crop, ten_crop

FILE = """
kind = "baselines"
[source]
title = "A paper"
address = "arXiv:0000.00000"
table = "Table 1"
[protocols.ten_crop]
name = "ten_crop"
crops = "ten"
short_sides = [256]
crop_size = 224
mirror = true
[[accuracy]]
name = "paper-resnet50"
model = "ResNet-50"
network = "resnet50"
protocol = "ten_crop"
top1 = 0.77
n = 5
spread = { value = 0.001, kind = "standard_deviation" }
quoted = "ResNet-50 77.0 +- 0.1"
"""


def written(folder: Path, text: str) -> Path:
    (folder / "paper.toml").write_text(text)
    return folder


def test_a_row_takes_source_and_protocol_from_its_file(tmp_path: Path) -> None:
    (row,) = load_baselines(written(tmp_path, FILE)).accuracy
    assert row.source.table == "Table 1"
    assert row.source.quoted == "ResNet-50 77.0 +- 0.1"
    assert row.protocol.differences(ten_crop()) == ()
    assert row.protocol.differences(center_crop(256, 192)) == ("crops", "crop_size", "mirror")
    assert {"decoder", "normalisation", "antialias"} <= set(row.protocol.unstated())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("n = 5", "n = 5\ncolour = 1", "colour"),
        ("top1 = 0.77", "top1 = 77.0", "less than or equal to 1"),
        ("top1 = 0.77", "top1 = -0.1", "greater than or equal to 0"),
        ("n = 5\n", "", "spread without n"),
        ("n = 5\n", "n = 1\n", "spread with n = 1"),
        ("n = 5", "n = 5\nvalues = [0.77, 0.77]", "2 values"),
        ("n = 5", "n = 5\ntop5 = 0.5", "top5 is below top1"),
        ('title = "A paper"\n', "", "source.title"),
        ('table = "Table 1"\n', "", "commit or its table"),
        ('quoted = "ResNet-50 77.0 +- 0.1"\n', "", "source.quoted"),
        ('protocol = "ten_crop"', 'protocol = "eleven_crop"', "protocol"),
        ('protocol = "ten_crop"', 'protocol = ["ten_crop"]', "protocol"),
        ('kind = "baselines"', 'kind = "numbers"', "'numbers'"),
        ('kind = "baselines"', 'kind = ["baselines"]', "the kind \\['baselines'\\]"),
        ('kind = "baselines"', "kind = 3", "the kind 3"),
        ("[source]", "[source", "cannot read"),
        (FILE[FILE.index("[[accuracy]]") :], "", "no rows"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in FILE
    with pytest.raises(BaselineError, match=said) as raised:
        load_baselines(written(tmp_path, FILE.replace(old, new, 1)))
    assert "paper.toml" in str(raised.value)


def test_a_row_without_any_source_is_refused(tmp_path: Path) -> None:
    begin, end = FILE.index("[source]"), FILE.index("[protocols")
    with pytest.raises(BaselineError, match="title"):
        load_baselines(written(tmp_path, FILE[:begin] + FILE[end:]))


def test_a_name_twice_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="no baseline files"):
        load_baselines(tmp_path)
    written(tmp_path, FILE)
    (tmp_path / "again.toml").write_text(FILE)
    with pytest.raises(BaselineError, match="more than once"):
        load_baselines(tmp_path)


def test_a_target_is_not_a_baseline_file(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="not a target"):
        load_target(written(tmp_path, FILE) / "paper.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("declared_seeds = [1, 2, 3]", "declared_seeds = [1, 2, 2]", "different integers"),
        ("declared_seeds = [1, 2, 3]", "declared_seeds = [1, 2]", "min_seeds is 3"),
        ('alpha = "', 'alfa = "', "reasons"),
        ("df = 24\n", "", "df"),
        ('kind = "published"', 'kind = ["published"]', "the kind"),
    ],
)
def test_a_wrong_target_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (Path(__file__).parents[3] / "baselines" / "target.toml").read_text()
    assert old in text
    path = tmp_path / "target.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BaselineError, match=said):
        load_target(path)


def test_the_published_rows_are_those_of_the_sources() -> None:
    rows = {row.name: row for row in load_baselines().accuracy}
    assert rows["apm5-resnet50-ten-crop"].top1 == 0.7772
    assert rows["he2015-table3-resnet-50-b"].top1 == pytest.approx(1 - 0.2285)
    assert rows["fb-resnet50-ten-crop"].top1 == pytest.approx(1 - 0.2224)
    assert rows["nvidia-mxnet-90-fp32"].n == 8
    assert rows["nvidia-pytorch-90-8-a100-80-gb-amp"].spread is None
    assert rows["groupnorm-resnet50-gn"].values == (0.76, 0.76, 0.759)
    assert rows["zhong2020-cifar100-resnet32-random-erasing"].top1 == pytest.approx(1 - 0.2718)
    assert rows["he2015-cifar10-resnet110"].n == 5
    assert rows["mlperf-quality-target"].top1 == 0.759
    assert not rows["mlperf-quality-target"].measured


def test_a_file_of_an_earlier_version_with_reference_convergence_is_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "baselines" / "mlperf.toml").read_text()
    more = 'name = "mlperf-resnet-1632"\nbatch = 1632\nsubmitter = "NVIDIA"\nepochs = [34.0]\n'
    (tmp_path / "mlperf.toml").write_text(f'{text}\n[[convergence]]\n{more}quoted = "17 runs"\n')
    (row,) = load_baselines(tmp_path).accuracy
    assert row.name == "mlperf-quality-target"


def test_rows_of_runs_agree_with_their_mean_and_spread() -> None:
    rows = {row.name: row for row in load_baselines().accuracy}
    for epoch in ("best", "last"):
        row = rows[f"chenbill-fashion-resnet20-{epoch}-epoch"]
        assert row.values is not None
        assert row.spread is not None
        assert row.top1 == pytest.approx(fmean(row.values), abs=1e-6)
        assert row.spread.value == pytest.approx(stdev(row.values), abs=5e-6)


def test_a_stated_spread_needs_runs(tmp_path: Path) -> None:
    name = "target-zhong2020-fashion-resnet20.toml"
    text = (Path(__file__).parents[3] / "baselines" / name).read_text()
    (tmp_path / name).write_text(text.replace("\nn = 5\n", "\nn = 1\n"))
    with pytest.raises(BaselineError, match="one run has none"):
        load_target(tmp_path / name)


@pytest.mark.parametrize(
    "which", ["zhong2020-fashion-resnet20", "target-zhong2020-fashion-resnet20"]
)
def test_a_target_is_found_by_its_name_or_its_files(which: str) -> None:
    assert load_target(which).top1 == 0.9561


def test_an_unknown_target_offers_the_nearest() -> None:
    with pytest.raises(BaselineError, match="no target named 'zhong2020-fashion'") as caught:
        load_target("zhong2020-fashion")
    assert "zhong2020-fashion-resnet20" in str(caught.value)


@pytest.mark.parametrize("command", [reproduce, verdict, plan])
def test_help_names_every_way_to_name_a_target(command: Command) -> None:
    assert load_target("smoke").name == "smoke-digits-ten-crop"
    told = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    for words in ("harness list targets", "file", "baselines/", "(smoke", "TOML file"):
        assert words in told
