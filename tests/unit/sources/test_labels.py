"""A table of label files as people have them: what each says, or why it is refused."""

import gzip
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.sources.class_order import class_orders
from harness.sources.labels.files import read_pairs, read_val_labels
from harness.sources.labels.numbers import VAL_NAME, published_val_labels

A, B = "ILSVRC2012_val_00000001", "ILSVRC2012_val_00000002"
FIRST = {A: "n01751748", B: "n09193705"}
"""Published; 65 and 970 in WordNet order, 489 and 360 in the development kit's."""

KAGGLE = f"ImageId,PredictionString\n{A},n01751748 111 108 428 366 \n{B},n09193705 1 2 3 4\n"
FRUIT = {"a": "apple", "b": "pear"}
APPLES: dict[str, Any] = {"classes": ("apple", "pear")}
NFC, NFD = "caf\u00e9", "cafe\u0301"

READ: list[tuple[str, str | bytes, dict[str, Any], dict[str, str]]] = [
    ("Kaggle's CSV", KAGGLE, {}, FIRST),
    ("with a byte order mark", KAGGLE.encode("utf-8-sig"), {}, FIRST),
    ("UTF-16 as Windows writes it", KAGGLE.encode("utf-16"), {}, FIRST),
    ("UTF-16 without a mark", KAGGLE.encode("utf-16-be"), {}, FIRST),
    ("UTF-32", KAGGLE.encode("utf-32"), {}, FIRST),
    ("line ends of Windows", KAGGLE.replace("\n", "\r\n"), {}, FIRST),
    ("line ends of old Macs", KAGGLE.replace("\n", "\r"), {}, FIRST),
    ("Excel's semicolons and quotes", f'ImageId;Label\r\n"{A}";"n01751748"\r\n{B};n09193705\r\n',
     {}, FIRST),
    ("Excel's empty columns", f"{A},n01751748,,\n{B},n09193705,,\n,,,\n", {}, FIRST),
    ("Excel's own delimiter line", f"sep=;\n{A};n01751748\n{B};n09193705\n", {}, FIRST),
    ("tabs", f"{A}.JPEG\tn01751748\t0\t32\n{B}.JPEG\tn09193705\t0\t32\n", {}, FIRST),
    ("pandas' index column", f",filename,label\n0,{A}.JPEG,65\n1,{B}.JPEG,970\n", {}, FIRST),
    ("label before name", f"label,file\nn01751748,{A}.JPEG\nn09193705,{B}.JPEG\n", {}, FIRST),
    ("no header", f"{A}.JPEG,n01751748\n{B}.JPEG,n09193705\n", {}, FIRST),
    ("blank lines", f"\n\n{A} 65\n\n{B} 970\n\n", {}, FIRST),
    ("the reference's list", f"{A}.JPEG 489\n{B}.JPEG 360\n", {}, FIRST),
    ("WordNet order", f"{A}.JPEG 65\n{B}.JPEG 970\n", {}, FIRST),
    ("numbers from 1", f"{A}.JPEG 490\n{B}.JPEG 361\n", {}, FIRST),
    ("an order that agrees", f"{A}.JPEG 65\n{B}.JPEG 970\n", {"order": "wordnet"}, FIRST),
    ("the ground truth", "490\n361\n", {}, FIRST),
    ("bare WordNet ids", "n01751748\nn09193705\n", {}, FIRST),
    ("bare numbers from 0", "65\n970\n", {}, FIRST),
    ("folders of Windows", f"val\\{A}.JPEG 65\nval\\{B}.JPEG 970\n", {}, FIRST),
    ("folders", f"./val/{A}.JPEG 65\n/data/val/{B}.JPEG 970\n", {}, FIRST),
    ("suffixes in capitals", f"{A}.JPG 65\n{B}.Jpeg 970\n", {}, FIRST),
    ("names of classes", "a.jpg apple\nb.jpg pear\n", APPLES, FRUIT),
    ("blanks in names", '"my a.jpg" apple\nmy b.jpg pear\n', APPLES,
     {"my a": "apple", "my b": "pear"}),
    ("dots in names", "a.v2.jpg apple\na.v3.jpg pear\n", APPLES,
     {"a.v2": "apple", "a.v3": "pear"}),
    ("blanks in classes", "a.jpg red apple\nb.jpg pear\n", {"classes": ("red apple", "pear")},
     {"a": "red apple", "b": "pear"}),
    ("blanks in classes, CSV", "file,class\na.jpg,red apple\nb.jpg,pear\n",
     {"classes": ("red apple", "pear")}, {"a": "red apple", "b": "pear"}),
    ("numbers as pandas writes them beside gaps", f"f,label\n{A},65.0\n{B},970.0\n", {}, FIRST),
    ("single quotes", f"'{A}.JPEG','n01751748'\n'{B}.JPEG','n09193705'\n", {}, FIRST),
    ("bars", f"{A}.JPEG|n01751748\n{B}.JPEG|n09193705\n", {}, FIRST),
    ("a comment above", f"# labels\n{A}.JPEG n01751748\n{B}.JPEG n09193705\n", {}, FIRST),
    ("a blank that does not break", f"{A}.JPEG\u00a065\n{B}.JPEG\u00a0970\n", {}, FIRST),
    ("letters in another form", f"{NFD}.jpg {NFD}\n", {"classes": (NFC,)}, {NFC: NFC}),
    ("a mark between files that were joined", f"\ufeff{A} 65\n\ufeff{B} 970\n", {}, FIRST),
    ("an end mark of DOS", f"{A} 65\r\n{B} 970\r\n\x1a", {}, FIRST),
    ("comments within", f"# a\nfile,label\n{A},65\n# b\n{B},970\n", {}, FIRST),
    ("a name and a number of each class",
     f"file,class_name,class_id\n{A},sea snake,65\n{B},valley,970\n", {}, FIRST),
    ("semicolons, quotes, from 1",
     f'\ufeff"Datei";"Klasse"\r\n"{A}.JPEG";"66"\r\n"{B}.JPEG";"971"\r\n', {}, FIRST),
    ("label before name, plain", f"65 {A}.JPEG\n970 {B}.JPEG\n", {}, FIRST),
    ("zeros before", f"{A}.JPEG 0065\n{B}.JPEG 0970\n", {}, FIRST),
    ("commas in classes", 'file,class\na.jpg,"pear, green"\nb.jpg,pear\n',
     {"classes": ("pear", "pear, green")}, {"a": "pear, green", "b": "pear"}),
    ("folders' names that are numbers", "a.jpg 1\nb.jpg 0\n", {"classes": ("0", "1")},
     {"a": "1", "b": "0"}),
    ("the same line twice", f"{A} 65\n{A} 65\n{B} 970\n", {}, FIRST),
]  # fmt: skip

REFUSED: list[tuple[str, str | bytes, dict[str, Any], str]] = [
    ("empty", "", {}, "line 1 has nothing"),
    ("only a header", "ImageId,PredictionString\n", {}, "line 2 has nothing"),
    ("Latin-1", f"{NFC}.jpg n01440764".encode("latin-1"), {}, "cannot read the list[\\s\\S]*UTF-8"),
    ("binary", gzip.compress(b"x"), {}, "cannot read the list"),
    ("an order that cannot be told", "x.jpg 3\n", {}, "cannot be told[\\s\\S]*--class-order"),
    ("the other order", f"{A} 65\n{B} 970\n", {"order": "devkit"}, "in wordnet order"),
    ("an order that nothing needs", "n01751748\n", {"order": "devkit"}, "not needed"),
    ("a number too large", f"{A} 65\n\n{B} 1001\n", {"order": "wordnet"}, "line 3 has the label"),
    ("a word that is no class", f"{A} 65\n\n\n{B} tench\n", {}, r"line 4 has the label 'tench'"),
    ("no label", f"{A},n01751748\n\n{B},\n", {}, "line 3 has"),
    ("half a number", f"{A} 65.5\n{B} 970\n", {}, r"line 1 has the label '65.5'"),
    ("JSON", f'{{"{A}.JPEG": "n01751748"}}', {}, "line 1 has"),
    ("a spreadsheet", b"PK\x03\x04" + bytes(range(256)), {}, "cannot read the list"),
    ("a spreadsheet with UTF-16's look", b"PK\x03\x04" + b"\x14\0\0\0" * 60, {}, "a spreadsheet"),
    ("an old spreadsheet", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), {}, "old spreadsheet"),
    ("two classes of one image", f"{A},n01751748 n09193705\n", {}, "n01751748 and n09193705"),
    ("numbers for words", "a.jpg 0\nb.jpg 1\n", APPLES,
     "classes of train are apple, pear[\\s\\S]*write the name"),
    ("a class in another case", "a.jpg Apple\nb.jpg pear\n", APPLES,
     "line 1 has the label 'Apple'"),
    ("a sum below", f"{A} n01751748\n{B} n09193705\nTOTAL 2\n", {}, "line 3 has the label '2'"),
    ("two labels", f"{A} 65\n\n{A} 970\n", {"order": "wordnet"},
     "line 3 has the label 970 for .*line 1 gives"),
    ("a name that cannot be seen", "a.jpg n01751748\nb.jpg \u200bn0\n", {}, r"\\u200bn0"),
]  # fmt: skip


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "labels.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "options", "found"), READ, ids=[row[0] for row in READ]
)
def test_a_label_file_is_read(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any], found: dict[str, str]
) -> None:
    assert read_val_labels(written(tmp_path, content), **options) == found, name


@pytest.mark.parametrize(
    ("name", "content", "options", "words"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_a_label_file_is_refused(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_val_labels(written(tmp_path, content), **options)
    assert re.search(words, str(caught.value)), name
    assert caught.value.where == str(tmp_path / "labels.txt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No such file[\s\S]*nowhere.txt"):
        read_val_labels(tmp_path / "nowhere.txt")


def test_lines_of_a_list_keep_their_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeff\n\ntrain/a b.jpg 3\n\nc.jpg 4\n")
    assert [(p.line, p.name, p.label) for p in read_pairs(path)] == [
        (3, "train/a b.jpg", "3"),
        (5, "c.jpg", "4"),
    ]


def test_the_published_labels_are_those_of_imagenet() -> None:
    """Independent: the reference's lists give images 1 to 5 these labels; 50 images a class."""
    labels = published_val_labels()
    assert len(labels) == 50_000
    assert set(Counter(labels.values()).values()) == {50}
    devkit = class_orders().ids_in("devkit")
    first = [devkit.index(labels[VAL_NAME.format(n)]) for n in range(1, 6)]
    assert first == [489, 360, 170, 821, 296]
    assert [class_orders().wnids.index(labels[VAL_NAME.format(n)]) for n in range(1, 6)] == [
        65, 970, 230, 809, 516,
    ]  # fmt: skip
