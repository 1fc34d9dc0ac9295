import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import RecordError
from harness.record.bundle import (
    BLOCK,
    INDEX,
    BundleMember,
    check_name,
    extract_bundle,
    write_bundle,
)

MEMBERS = {
    "runs/s/seed-1/journal.jsonl": BundleMember(data=b'{"event":1}\n' * 60),
    "runs/s/seed-1/empty.json": BundleMember(data=b""),
    "baselines/target.toml": BundleMember(data=b"x" * BLOCK),
}


def written(folder: Path) -> Path:
    path = folder / "b.tar"
    write_bundle(path, MEMBERS, reported={"top1": 0.7772}, harness_version="0.1.0")
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("bundle")).read_bytes()


def extract(raw: bytes, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "b.tar").write_bytes(raw)
    extract_bundle(folder / "b.tar", folder / "out")


def test_members_come_back_as_they_were(tmp_path: Path) -> None:
    index = extract_bundle(written(tmp_path), tmp_path / "out")
    assert {m.name for m in index.members} == set(MEMBERS)
    assert index.reported == {"top1": 0.7772}
    for name, source in MEMBERS.items():
        assert (tmp_path / "out" / name).read_bytes() == source.data


def test_an_ordinary_tar_reader_understands_it(tmp_path: Path) -> None:
    with tarfile.open(written(tmp_path)) as archive:
        assert archive.getnames() == [INDEX, *sorted(MEMBERS)]


def test_the_same_members_give_the_same_bytes(bundle: bytes, tmp_path: Path) -> None:
    assert written(tmp_path).read_bytes() == bundle


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_one_changed_byte_anywhere_is_found_and_its_place_named(
    bundle: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    position = data.draw(st.integers(0, len(bundle) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda v: v != bundle[position]))
    altered = bytearray(bundle)
    altered[position] = value
    with pytest.raises(RecordError) as caught:
        extract(bytes(altered), tmp_path_factory.mktemp("altered") / "x")
    names = (INDEX, *MEMBERS, "end of the archive")
    assert any(name in str(caught.value) for name in names)


@pytest.mark.parametrize(
    ("written_as", "altered_to"),
    [
        (b'"0.1.0"', b'"0 1.0"'),
        (b'"0.1.0"', b'"0.1.1"'),
        (b"0.7772", b"0.7773"),
        (b"top1", b"top5"),
    ],
)
def test_an_index_that_is_still_valid_is_held_against_its_digest(
    bundle: bytes, tmp_path: Path, written_as: bytes, altered_to: bytes
) -> None:
    assert bundle.count(written_as) == 1
    with pytest.raises(RecordError, match=r"bundle\.json was altered: its digest differs"):
        extract(bundle.replace(written_as, altered_to), tmp_path / "x")


def test_a_byte_of_a_member_names_the_member(bundle: bytes, tmp_path: Path) -> None:
    place = bundle.index(b'{"event":1}')
    altered = bundle[:place] + b"[" + bundle[place + 1 :]
    with pytest.raises(RecordError, match=r"journal\.jsonl was altered"):
        extract(altered, tmp_path / "x")


@pytest.mark.parametrize("cut", [1, BLOCK, 5000])
def test_a_shortened_bundle_is_found(bundle: bytes, tmp_path: Path, cut: int) -> None:
    with pytest.raises(RecordError):
        extract(bundle[:-cut], tmp_path / "x")


@pytest.mark.parametrize("surplus", [b"\0", b"x", bytes(10240)])
def test_a_lengthened_bundle_is_found(bundle: bytes, tmp_path: Path, surplus: bytes) -> None:
    with pytest.raises(RecordError, match="end of the archive"):
        extract(bundle + surplus, tmp_path / "x")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "./a", "a\\..\\b", "C:/x", "a\nb", "a/", "", "é"],
)
def test_names_that_could_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="not allowed"):
        check_name(name, "here")
    with pytest.raises(RecordError, match="not allowed"):
        write_bundle(
            tmp_path / "b.tar", {name: BundleMember(data=b"x")}, reported={}, harness_version="0"
        )


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE]
)
def test_a_foreign_archive_writes_nothing_outside(tmp_path: Path, kind: bytes) -> None:
    foreign = tarfile.TarInfo("../../outside")
    link = tarfile.TarInfo(INDEX)
    link.type, link.linkname = kind, "/etc/passwd"
    for info in (foreign, link):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            archive.addfile(info, io.BytesIO(b""))
        folder = tmp_path / f"x{info.name == INDEX}"
        with pytest.raises(RecordError):
            extract(stream.getvalue(), folder)
        assert [path.name for path in folder.rglob("*")] == ["b.tar"]
    assert not (tmp_path.parent / "outside").exists()


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="header before"):
        extract(b"PK\x03\x04" + bytes(600), tmp_path / "x")
    with pytest.raises(RecordError, match="cannot be read"):
        extract_bundle(tmp_path / "none.tar", tmp_path / "out")


def test_an_index_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    index = b"[" * 5000
    info = tarfile.TarInfo("bundle.json")
    info.size = len(index)
    with tarfile.open(tmp_path / "deep.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(index))
    with pytest.raises(RecordError, match="was altered"):
        extract_bundle(tmp_path / "deep.tar", tmp_path / "out")


@pytest.mark.parametrize("version", [1, 9])
def test_a_bundle_of_another_version_is_said(tmp_path: Path, bundle: bytes, version: int) -> None:
    other = bundle.replace(b'"bundle_version": 2', f'"bundle_version": {version}'.encode())
    with pytest.raises(RecordError, match=f"version {version}"):
        extract(other, tmp_path / "x")
