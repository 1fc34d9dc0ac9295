"""`harness prepare`: check a data set once, so that runs can read it fast and prove it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import click

from harness.cli.options import LocalPath, OutputPath

FILE = LocalPath(exists=True, dir_okay=False)


@click.command()
@click.option(
    "--source",
    type=LocalPath(exists=True),
    required=True,
    help="Folder of images, tars, TFDS, IDX or CIFAR files; or CIFAR's archive.",
)
@click.option(
    "--out",
    type=OutputPath(file_okay=False),
    required=True,
    help="Prepared folder: manifest, description, converted copies, images that were unpacked.",
)
@click.option("--train-list", type=FILE, help="List of `path label` lines, below --source.")
@click.option("--val-list", type=FILE, help="The same for the validation images.")
@click.option("--val-labels", type=FILE, help="Labels of a flat val folder or of the val tar.")
@click.option(
    "--class-order",
    type=click.Choice(["wordnet", "devkit"]),
    help="Class order of numbers in label files, where they do not tell it themselves.",
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
    workers: int | None,
    rehash: bool,
    decode: bool,
    as_json: bool,
) -> None:
    """Inspect every image of --source and write the manifest to --out.

    Known sources: train/CLASS/* and val/CLASS/*; train/WNID/* with a flat val;
    ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar; Kaggle's ILSVRC folder;
    list files; a TFDS directory; MNIST's four IDX files, plain or .gz (MNIST,
    Fashion-MNIST, KMNIST, EMNIST); CIFAR-10's or CIFAR-100's binary version,
    unpacked or as .tar.gz. Images stay where they are (tars and TFDS are taken
    apart below --out, pixels of IDX and CIFAR are written there as PNG). The
    same command again continues. Exit code 2 when images had to be refused:
    they are named.
    """
    from harness.data.prepare import prepare, render
    from harness.errors import UsageError

    if (train_list is None) != (val_list is None):
        raise UsageError(
            "only one of --train-list and --val-list is given",
            expected="both, or neither",
            remedy="give the other one too",
        )
    lists = {"train": train_list, "val": val_list} if train_list and val_list else None
    with progress_shown() as on_progress:
        prepared = prepare(
            source,
            out,
            lists=cast("Any", lists),
            val_labels=val_labels,
            order=cast("Any", class_order),
            workers=workers,
            rehash=rehash,
            decode=decode,
            on_progress=on_progress,
        )
    click.echo(prepared.description.model_dump_json(indent=2) if as_json else render(prepared))
    if prepared.refused:
        raise SystemExit(2)


class progress_shown:  # noqa: N801 - used like a function in a with statement
    """Show a preparation's progress on stderr: a bar on a terminal, else a line now and then."""

    LINE_EVERY_S = 10.0

    def __enter__(self) -> Callable[[Any], None]:
        """Start; returns the callback."""
        import time

        from rich.console import Console
        from rich.progress import Progress, TimeRemainingColumn, TransferSpeedColumn

        console = Console(stderr=True)
        self.start_s = self.last_s = time.monotonic()
        self.now = time.monotonic
        self.bar = None
        if console.is_terminal:
            columns = (*Progress.get_default_columns()[:3], TransferSpeedColumn())
            self.bar = Progress(*columns, TimeRemainingColumn(), console=console)
            self.task = self.bar.add_task("inspecting", total=None)
            self.bar.start()
        return self.show

    def show(self, progress: Any) -> None:
        """Show how far it is."""
        if self.bar is not None:
            self.bar.update(self.task, completed=progress.bytes_done, total=progress.bytes_total)
            return
        now = self.now()
        if now - self.last_s >= self.LINE_EVERY_S:
            self.last_s = now
            click.echo(progress_line(progress, now - self.start_s), err=True)

    def __exit__(self, *_: object) -> None:
        """Stop the bar."""
        if self.bar is not None:
            self.bar.stop()


def progress_line(progress: Any, elapsed_s: float) -> str:
    """One plain line: images, rate and time left."""
    rate = progress.bytes_done / elapsed_s if elapsed_s > 0 else 0.0
    left_s = (progress.bytes_total - progress.bytes_done) / rate if rate else 0.0
    of = f" of {progress.images_total:,}" if progress.images_total else ""
    return (
        f"{progress.images:,}{of} images, {rate / 1e6:,.0f} MB/s, "
        f"{left_s / 60:,.0f} min {left_s % 60:.0f} s left"
    )
