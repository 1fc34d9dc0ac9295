"""Rooms stay small and in order, and the page's picture and table of them are true."""

import ast
import re

import pytest

from tests.rooms import (
    PAGE,
    PICTURE,
    direct,
    files_by_room,
    imports,
    layers,
    lengths,
    lines_by_room,
    picture,
    rooms_of_version_020,
    sources,
)

FOLDER_FILES = 16
ROOM_SHARE = 0.12
FILE_LINES = 350
CLASS_LINES = 200
FUNCTION_LINES = 60

# What exceeds a limit today, with the most that it may have. Each must exceed it, so that this
# list only gets shorter: take an entry out as soon as a test says so, and add none.
LARGE_ROOMS: dict[str, float] = {}
LARGE_FOLDERS: dict[str, int] = {}
LONG_FILES: dict[str, int] = {}
LONG_CLASSES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}


def check(found: dict[str, int] | dict[str, float], limit: float, known: dict[str, float]) -> None:
    """Nothing exceeds the limit but what is known to, and that no more than it did."""
    assert {name: size for name, size in found.items() if size > known.get(name, limit)} == {}
    assert {name: found.get(name) for name in known if found.get(name, 0) <= limit} == {}


def test_no_folder_has_too_many_files() -> None:
    counts: dict[str, int] = {}
    for path in sources():
        folder = path.rpartition("/")[0]
        counts[folder] = counts.get(folder, 0) + 1
    check(counts, FOLDER_FILES, dict(LARGE_FOLDERS))


def test_no_room_is_a_large_part_of_the_whole() -> None:
    rooms = lines_by_room()
    total = sum(rooms.values())
    check({room: n / total for room, n in rooms.items()}, ROOM_SHARE, LARGE_ROOMS)


def test_each_room_that_grew_since_version_020_has_a_reason() -> None:
    before = rooms_of_version_020()
    rooms = {room: n for room, n in lines_by_room().items() if not room.startswith("__")}
    assert before.keys() == rooms.keys()
    silent = {room for room, n in rooms.items() if n > before[room][0] and not before[room][1]}
    assert silent == set(), "say why on docs/decisions.md"


def test_no_file_is_long() -> None:
    found = {path: n for files in files_by_room().values() for path, n in files.items()}
    check(found, FILE_LINES, dict(LONG_FILES))


def test_no_class_is_long() -> None:
    found = {length.name: length.lines for length in lengths(ast.ClassDef)}
    check(found, CLASS_LINES, dict(LONG_CLASSES))


def test_a_class_name_is_one_class() -> None:
    homes: dict[str, list[str]] = {}
    for path, text in sources().items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, []).append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_no_function_is_long() -> None:
    found = {n.name: n.lines for n in lengths(ast.FunctionDef, ast.AsyncFunctionDef)}
    check(found, FUNCTION_LINES, dict(LONG_FUNCTIONS))


@pytest.mark.parametrize(
    ("found", "known"),
    [({"new": 61}, {}), ({"old": 71}, {"old": 70}), ({"old": 60}, {"old": 70}), ({}, {"gone": 70})],
)
def test_the_check_fails_where_it_should(found: dict[str, int], known: dict[str, float]) -> None:
    with pytest.raises(AssertionError):
        check(found, FUNCTION_LINES, known)


def test_every_room_has_its_layer_and_none_is_called_workflows() -> None:
    rooms = {room for room in files_by_room() if not room.startswith("__")}
    assert rooms == {room for layer in layers() for room in layer}
    assert not [path for path in sources() if "workflow" in path]


def test_rooms_import_only_rooms_below_them() -> None:
    depth = {room: i for i, layer in enumerate(layers()) for room in layer}
    wrong = [
        (room, other)
        for room, others in imports().items()
        for other in others
        if depth[other] <= depth[room]
    ]
    assert wrong == []


def test_the_picture_shows_the_rooms_as_they_import_each_other() -> None:
    (shown,) = PICTURE.findall(PAGE.read_text())
    assert shown == picture(), "write it anew: python -m tests.rooms"


def test_the_picture_leaves_out_only_what_a_longer_way_says() -> None:
    graph = {"a": {"b", "c", "d"}, "b": {"c"}, "c": {"d"}, "d": set[str]()}
    assert direct(graph) == {"a": {"b"}, "b": {"c"}, "c": {"d"}, "d": set()}


def test_the_table_has_each_room_in_order() -> None:
    rows = re.findall(r"^\| (`.+?) \|", PAGE.read_text(), re.MULTILINE)
    named = [re.sub(r"/|\.py", "", name) for row in rows for name in re.findall("`(.+?)`", row)]
    assert named == [room for layer in layers() for room in layer]
