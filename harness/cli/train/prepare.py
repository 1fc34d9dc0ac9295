"""`harness prepare`: check a data set once, so that runs can read it fast and prove it."""

from pathlib import Path
from typing import Any, cast

import click

from harness.cli.options import LocalPath
from harness.system.folders import try_output

FILE = LocalPath(exists=True, dir_okay=False)
PART = click.Path(path_type=Path)


@click.command()
@click.option(
    "--source",
    type=LocalPath(exists=True),
    required=True,
    help="Folder of images, tars, TFDS, IDX or CIFAR files; or CIFAR's archive.",
)
@click.option(
    "--out",
    type=LocalPath(file_okay=False),
    required=True,
    help="Prepared folder: manifest, description, converted copies, images that were unpacked.",
)
@click.option("--train-list", type=FILE, help="List of `path label` lines, below --source.")
@click.option("--val-list", type=FILE, help="The same for the validation images.")
@click.option(
    "--val-labels",
    type=FILE,
    help="Labels of validation images that lie side by side, or of the val tar. Not needed for "
    "ImageNet's own images, nor with Kaggle's CSV or the development kit beside them.",
)
@click.option(
    "--class-order",
    type=click.Choice(["wordnet", "devkit"]),
    help="Class order of numbers in label files, where they do not tell it themselves.",
)
@click.option(
    "--layout",
    type=click.Choice(["folders", "tars", "tfds", "pixels"]),
    help="What to read where several things lie there; folders of images come first. pixels: "
    "IDX or CIFAR files.",
)
@click.option("--train-folder", type=PART, help="Folder of the training images, below --source.")
@click.option("--val-folder", type=PART, help="The same for the validation images.")
@click.option(
    "--val-share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Hold back this share of each class for validation, such as 0.2, where --source has class "
    "folders and no train and val. The names decide, so the same images are held back again.",
)
@click.option("--workers", type=click.IntRange(1), help="Threads; default one per core.")
@click.option("--rehash", is_flag=True, help="Read every file again, even unchanged ones.")
@click.option(
    "--decode",
    is_flag=True,
    help="Decode every JPEG too, to find what the decoder refuses behind a sound header; slower, "
    "reads every file. Data that ends early but has an end mark is not refused: as in OpenCV, the "
    "rest is grey.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the description as JSON.")
def command(
    source: Path,
    out: Path,
    train_list: Path | None,
    val_list: Path | None,
    val_labels: Path | None,
    class_order: str | None,
    layout: str | None,
    train_folder: Path | None,
    val_folder: Path | None,
    val_share: float | None,
    workers: int | None,
    rehash: bool,
    decode: bool,
    as_json: bool,
) -> None:
    """Inspect every image of --source and write the manifest to --out.

    Known sources: train/CLASS/* and val/CLASS/* (validation/ too); val/* side by
    side with a label file, Kaggle's CSV, the development kit or ImageNet's own
    names; names with WordNet ids as Hugging Face writes them;
    ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar; list files; a TFDS
    directory; MNIST's four IDX files, plain or .gz (MNIST, Fashion-MNIST, KMNIST,
    EMNIST); CIFAR-10's or CIFAR-100's binary version, unpacked or as .tar.gz.
    --source may be up to four folders above. What is no image is named and not
    used. Images stay where they are (tars and TFDS are taken apart below --out,
    pixels of IDX and CIFAR are written there as PNG). The same command again
    continues. Exit code 2 when images had to be refused: they are named.
    """
    from harness.data.manifest import DESCRIPTION
    from harness.data.prepare import prepare, render
    from harness.progress import Progress
    from harness.sources.detection import Told

    if not (out / DESCRIPTION).exists():  # an unchanged one may lie where nobody can write
        try_output(out)
    lists = {"train": train_list, "val": val_list}
    folders = {"train": train_folder, "val": val_folder}
    told = Told(
        lists=cast("Any", {split: path for split, path in lists.items() if path}),
        val_labels=val_labels,
        order=cast("Any", class_order),
        layout=cast("Any", layout),
        folders=cast("Any", {split: path for split, path in folders.items() if path}),
        val_share=val_share,
    )
    with Progress() as progress:
        prepared = prepare(
            source,
            out,
            told,
            workers=workers,
            rehash=rehash,
            decode=decode,
            progress=progress,
        )
    click.echo(prepared.description.model_dump_json(indent=2) if as_json else render(prepared))
    if prepared.refused:
        raise SystemExit(2)
