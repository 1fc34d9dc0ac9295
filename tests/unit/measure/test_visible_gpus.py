"""`CUDA_VISIBLE_DEVICES` as the driver of an H200 read it: one row for each observed value."""

import pytest

from harness.errors import MachineError
from harness.measure.visible_gpus import (
    asks_for_devices,
    listed_gpus,
    visible_devices,
)

UUID = "GPU-4db9ff3b-b4d6-977b-b067-4eed11730791"
BARE = UUID.removeprefix("GPU-")
OTHER = "GPU-11111111-2222-3333-4444-555555555555"

ONE = (
    "0", "0,7", " 0", "0 ", "0, 7", "0,", "0,,7", "0,-1", "0 1", "0x0", "00", "0abc", "+0", "0.0",
    "0;7", "\t0", "0/0", "0:0", "0\n", UUID, UUID[:10], UUID[:6], f"GPU-{BARE.upper()}",
    f"{UUID},0", f"0,{UUID}", f"{UUID},7", f"{UUID}x", f"{UUID} ",
)  # fmt: skip
NONE = (
    "", "7,0", "7", "NoDevFiles", "none", "void", " ,0", ",0", "-1", "-1,0", "0,0", "all", "1",
    "GPU-", BARE, f"gpu-{BARE}", f"GPU-deadbeef,{UUID}", f" {UUID}", "99999999999999999999",
    "4294967295", '"0"', "'0'", "[0]",
)  # fmt: skip
"""All of them with one GPU in the machine, CUDA's `cuDeviceGetCount` in a process for each."""


@pytest.mark.parametrize("listed", ONE)
def test_lists_that_left_one_device(listed: str) -> None:
    assert visible_devices(listed, [UUID]) == (0,)
    assert asks_for_devices(listed)


@pytest.mark.parametrize("listed", NONE)
def test_lists_that_left_none(listed: str) -> None:
    assert visible_devices(listed, [UUID]) == ()


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        (None, (0, 1)), ("1,0", (1, 0)), ("1,2,0", (1,)), (f"{OTHER},0", (1,)),
        (f"0,{UUID}", (0,)), (f"{OTHER},{UUID}", (1, 0)), ("GPU-", ()), ("MIG-1234", (0,)),
        ("MIG-a,MIG-b", (0,)), ("MIG-a,0", (0,)),
    ],
)  # fmt: skip
def test_lists_of_several_devices(listed: str | None, seen: tuple[int, ...]) -> None:
    assert visible_devices(listed, [UUID, OTHER]) == seen


@pytest.mark.parametrize("listed", ["", "NoDevFiles", "none", "void", "-1", "-1,0", ",0", "all"])
def test_words_that_mean_no_device(listed: str) -> None:
    assert not asks_for_devices(listed)


@pytest.mark.parametrize("listed", [None, "7", "7,0", "GPU-deadbeef", "0,0"])
def test_words_that_mean_a_device_which_may_not_be_there(listed: str | None) -> None:
    assert asks_for_devices(listed)


@pytest.mark.parametrize(
    ("listed", "uuids", "names"),
    [
        (None, (UUID, OTHER), ("A", "B")),
        ("1", (UUID, OTHER), ("B",)),
        ("NoDevFiles", (UUID, OTHER), ()),
        ("", (), ()),
        (OTHER, (UUID, OTHER), ("B",)),
        ("MIG-a,MIG-b", (UUID, OTHER), ("A",)),
        (OTHER, (), ("A", "B")),  # a driver whose identifiers nothing tells: the list is believed
    ],
)
def test_the_preflight_knows_which_devices_were_left_to_it(
    listed: str | None, uuids: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert listed_gpus(listed, [{"name": "A"}, {"name": "B"}], uuids) == names


@pytest.mark.parametrize("listed", ["2", "7,0", "GPU-deadbeef", "0,0"])
def test_a_list_that_names_no_device_of_this_system_is_refused(listed: str) -> None:
    with pytest.raises(MachineError, match="names no GPU of this system") as told:
        listed_gpus(listed, [{"name": "A"}, {"name": "B"}], (UUID, OTHER))
    assert "CUDA_VISIBLE_DEVICES" in str(told.value)
    assert listed_gpus(listed, [], ()) == ()
