"""A tensorflow-datasets directory of images with labels (optional extra `tfds`).

The encoded bytes are taken out as files, undecoded; TFDS' own conversions
(12 CMYK files and one PNG of ImageNet) were made when its directory was built.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import DataError, UsageError
from harness.sources.pixels.png import PNG_SIGNATURE
from harness.sources.source import SourceImage, SplitName

SPLIT_NAMES: dict[SplitName, tuple[str, ...]] = {"train": ("train",), "val": ("validation", "test")}


@dataclass(frozen=True)
class TfdsSource:
    """A directory that `tfds.builder_from_directory` reads.

    Attributes:
        root: where the images are written.
        folder: the directory with `dataset_info.json`.
    """

    root: Path
    folder: Path
    kind: str = "tfds"

    @property
    def origin(self) -> Path:
        """The directory."""
        return self.folder

    @cached_property
    def builder(self) -> Any:
        """The builder.

        Raises:
            UsageError: the package is missing.
            DataError: no image classification data set.
        """
        try:
            import tensorflow_datasets as tfds
        except ImportError as error:
            raise UsageError(
                "tensorflow-datasets is not installed",
                where=str(self.folder),
                expected="the optional extra `tfds`",
                remedy="pip install tensorflow-datasets, or prepare from the original files",
            ) from error
        builder = tfds.builder_from_directory(str(self.folder))
        missing = {"image", "label"} - set(builder.info.features)
        if missing:
            raise DataError(
                f"the data set has no feature {' or '.join(sorted(missing))}",
                where=str(self.folder),
                expected="an image classification data set",
                remedy="name another directory",
            )
        return builder

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the data set's label order.

        Raises:
            DataError: a name that cannot name a folder, or leads elsewhere.
        """
        names = tuple(self.builder.info.features["label"].names)
        for name in names:
            if name in {"", ".", ".."} or "/" in name or "\0" in name:
                raise DataError(
                    f"the class {name!r} has no plain name",
                    where=str(self.folder),
                    expected="names that can name a folder",
                    remedy="rename the class in the data set, or prepare from the original files",
                )
        return names

    @property
    def count(self) -> int:
        """Images of both splits."""
        return sum(self.builder.info.splits[self._split(name)].num_examples for name in SPLIT_NAMES)

    @property
    def size_bytes(self) -> int:
        """Bytes of both splits as stored."""
        return sum(self.builder.info.splits[self._split(name)].num_bytes for name in SPLIT_NAMES)

    def items(self, _on_bytes: Callable[[int], None]) -> Iterator[tuple[SourceImage, bytes]]:
        """Every image with its encoded bytes."""
        import tensorflow_datasets as tfds

        for split in SPLIT_NAMES:
            examples = self.builder.as_dataset(
                split=self._split(split),
                decoders={"image": tfds.decode.SkipDecoding()},
                shuffle_files=False,
            )
            for number, example in enumerate(examples):
                yield self._item(split, number, example)

    def _item(
        self, split: SplitName, number: int, example: dict[str, Any]
    ) -> tuple[SourceImage, bytes]:
        raw = bytes(example["image"].numpy())
        class_name = self.classes[int(example["label"])]
        extension = "png" if raw.startswith(PNG_SIGNATURE) else "jpg"
        name = f"{number:08d}.{extension}"
        if "file_name" in example:
            name = Path(example["file_name"].numpy().decode()).name
        path = f"{split}/{class_name}/{name}"
        return SourceImage(split, class_name, path, len(raw), 0), raw

    def _split(self, name: SplitName) -> str:
        splits = self.builder.info.splits
        found = next((s for s in SPLIT_NAMES[name] if s in splits), None)
        if found is None:
            raise DataError(
                f"the data set has the splits {', '.join(splits)}",
                where=str(self.folder),
                expected=f"one of {', '.join(SPLIT_NAMES[name])}",
                remedy="name another directory",
            )
        return found
