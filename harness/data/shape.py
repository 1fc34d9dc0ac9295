"""What a data folder claims to be, found in seconds: before anything is hashed or trained."""

from dataclasses import dataclass
from pathlib import Path

from harness.data.class_order import class_orders
from harness.data.imagenet_facts import TRAIN_IMAGES, VAL_IMAGES
from harness.data.manifest import DESCRIPTION, read_description
from harness.data.sources.detection import find_folder
from harness.errors import DataError

GET_IMAGENET = (
    "get ILSVRC2012_img_train.tar (147,897,477,120 bytes) and ILSVRC2012_img_val.tar "
    "(6,744,924,160 bytes) from image-net.org (an account is needed), run "
    "`harness prepare --source FOLDER_OF_TARS --out DIR`, then give the command again with "
    "IMAGENET_DIR=DIR"
)


@dataclass(frozen=True)
class DataShape:
    """Counts of a data set; `looks_like_imagenet` is a claim until its manifest is made."""

    train_images: int
    val_images: int
    classes: tuple[str, ...]
    looks_like_imagenet: bool


def data_shape(path: Path) -> DataShape:
    """Counts from a prepared folder's description, or from listing a plain one.

    Raises:
        DataError: the folder is missing, empty, or a class lacks images.
    """
    if (path / DESCRIPTION).exists():
        identity = read_description(path).identity
        return DataShape(
            train_images=identity.train_images,
            val_images=identity.val_images,
            classes=identity.classes,
            looks_like_imagenet=identity.kind == "imagenet",
        )
    source = find_folder(path)
    train = sum(image.split == "train" for image in source.images)
    val = len(source.images) - train
    return DataShape(
        train_images=train,
        val_images=val,
        classes=source.classes,
        looks_like_imagenet=(
            sorted(source.classes) == sorted(class_orders().wnids)
            and (train, val) == (TRAIN_IMAGES, VAL_IMAGES)
        ),
    )


def check_imagenet_shape(shape: DataShape, path: Path, remedy: str) -> None:
    """Raise `DataError` unless the folder looks like the whole of ImageNet (ILSVRC2012)."""
    if not shape.looks_like_imagenet:
        raise DataError(
            f"the folder is not ImageNet: it has {shape.train_images:,} training and "
            f"{shape.val_images:,} validation images in {len(shape.classes):,} classes",
            where=str(path),
            expected=f"{TRAIN_IMAGES:,} and {VAL_IMAGES:,} images in the 1,000 classes of "
            "ILSVRC2012, named by WordNet id",
            remedy=remedy,
        )
