"""`harness reproduce`: the published result on ImageNet, from preflight to verdict."""

from pathlib import Path

from harness.baselines.loading import baselines_folder, load_target
from harness.baselines.schema import PublishedTarget
from harness.errors import BaselineError, UsageError
from harness.workflows.data_shape import GET_IMAGENET


def target() -> PublishedTarget:
    """The pre-registered target of `baselines/target.toml`."""
    path = baselines_folder() / "target.toml"
    found = load_target(path)
    if not isinstance(found, PublishedTarget):
        raise BaselineError(
            f"the target is of kind {found.kind}",
            where=str(path),
            expected="kind published",
            remedy="restore the file",
        )
    return found


def check_imagenet(imagenet: Path | None) -> Path:
    """The data folder, or a `UsageError` that says how to get ImageNet."""
    if imagenet is None:
        raise UsageError(
            "IMAGENET_DIR is not set",
            expected="the folder of ImageNet (ILSVRC2012), prepared or as train/ and val/",
            remedy=GET_IMAGENET,
        )
    if not imagenet.is_dir():
        raise UsageError(
            "IMAGENET_DIR names no folder",
            where=str(imagenet),
            expected="the folder of ImageNet (ILSVRC2012), prepared or as train/ and val/",
            remedy=GET_IMAGENET,
        )
    return imagenet
