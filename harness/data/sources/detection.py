"""Which kind of source a path is, told by what lies there."""

import os
from pathlib import Path

from harness.data.class_order import Order
from harness.data.sources import tars
from harness.data.sources.label_files import read_val_labels, tfds_val_labels
from harness.data.sources.layouts import KAGGLE_ROOT, list_files, list_flat_val, list_kaggle
from harness.data.sources.small_sets import find_small_set, look
from harness.data.sources.source import ImageSource, Source, SplitName, list_folder
from harness.data.sources.tfds import MARK, TfdsSource
from harness.errors import DataError

IMAGES = "images"
"""Folder below --out for the images of tars, TFDS directories and small data sets."""


def find_source(
    path: Path,
    out: Path,
    *,
    lists: dict[SplitName, Path] | None = None,
    val_labels: Path | None = None,
    order: Order | None = None,
    published: dict[str, tars.PublishedTar] | None = None,
) -> ImageSource:
    """List or open a source.

    Args:
        path: folder of images, of tars, of Kaggle's layout, of TFDS or of IDX or
            CIFAR files, or an archive of the latter; with `lists`, the folder
            that their paths start from.
        out: the prepared folder.
        lists: the reference's list files by split.
        val_labels: label file of a flat validation folder or tar.
        order: class order of labels that do not say it themselves.
        published: sizes and md5 sums of the tars; None takes ImageNet's.

    Raises:
        DataError: nothing that is known lies there, or it is incomplete.
    """
    path = path.resolve()
    if lists:
        return list_files(path, lists, order)
    if _has_tars(path):
        return _tars(path, out, _val_labels(val_labels, order), published)
    if (path / MARK).exists():
        return TfdsSource(out.resolve() / IMAGES, path)
    small = None if (path / KAGGLE_ROOT).is_dir() else find_small_set(path, out.resolve() / IMAGES)
    return small or find_folder(path, val_labels=val_labels, order=order)


def find_folder(
    path: Path, *, val_labels: Path | None = None, order: Order | None = None
) -> Source:
    """List a folder whose images can be read where they are; see `find_source`.

    Raises:
        DataError: it holds tars, a TFDS directory or files of many images, which
            have to be prepared first, or nothing that is known.
    """
    path = path.resolve()
    if (path / KAGGLE_ROOT).is_dir():
        return list_kaggle(path)
    if _has_tars(path) or (path / MARK).exists() or look(path):
        raise DataError(
            "the images are packed",
            where=str(path),
            expected="a folder of image files, or one made by `harness prepare`",
            remedy=f"harness prepare --source {path} --out DIR, then name DIR",
        )
    if _is_flat(path / "val"):
        return list_flat_val(path, _val_labels(val_labels, order))
    return list_folder(path)


def _has_tars(path: Path) -> bool:
    return any((path / name).exists() for name in (tars.TRAIN_TAR, tars.VAL_TAR))


def _tars(
    path: Path,
    out: Path,
    labels: dict[str, str],
    published: dict[str, tars.PublishedTar] | None,
) -> ImageSource:
    for name in (tars.TRAIN_TAR, tars.VAL_TAR):
        if not (path / name).is_file():
            raise DataError(
                f"{name} is missing",
                where=str(path),
                expected=f"{tars.TRAIN_TAR} and {tars.VAL_TAR}",
                remedy="download it from image-net.org, or put both into one folder",
            )
    return tars.TarSource(out.resolve() / IMAGES, path, labels, published or tars.PUBLISHED)


def _val_labels(path: Path | None, order: Order | None) -> dict[str, str]:
    path = path or tfds_val_labels()
    if path is None:
        raise DataError(
            "the labels of the validation images are missing",
            expected="a label file, or the tensorflow-datasets package, which carries them",
            remedy="give --val-labels FILE (the development kit's "
            "ILSVRC2012_validation_ground_truth.txt, the reference's list or Kaggle's CSV)",
        )
    return read_val_labels(path, order)


def _is_flat(folder: Path) -> bool:
    """Whether a folder holds files and no folders."""
    try:
        with os.scandir(folder) as entries:
            first = next((e for e in entries if not e.name.startswith(".")), None)
            return first is not None and first.is_file()
    except OSError:
        return False
