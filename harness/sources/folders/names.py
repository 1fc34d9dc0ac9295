"""Names of files and classes as text: one normal form, how they are shown, what they say.

The same visible name can be written with different bytes: macOS takes letters
apart from their accents (NFD), most other systems keep them together (NFC). So
names are compared in NFC and differences are shown escaped.
"""

import re
import unicodedata
from collections.abc import Iterable

EXTENSIONS = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp",
        ".png", ".bmp", ".dib", ".gif", ".webp", ".avif",
        ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".jpx", ".jxl",
        ".heic", ".heif", ".hif", ".tga", ".pcx", ".dng", ".cr2", ".nef", ".arw",
    }
)  # fmt: skip
"""Suffixes of image files, in any case; whether one can be read is found out later."""

NO_IMAGES = frozenset(
    {
        ".txt", ".md", ".rst", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml",
        ".toml", ".ini", ".cfg", ".log", ".html", ".htm", ".pdf", ".doc", ".docx", ".xls", ".xlsx",
        ".sh", ".bash", ".py", ".pyc", ".ipynb", ".m", ".lua", ".pl", ".r", ".c", ".cc", ".cpp",
        ".h", ".java", ".bat", ".cmd", ".ps1", ".js",
        ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar",
        ".md5", ".sha1", ".sha256", ".sha512", ".sum", ".par2", ".torrent", ".lnk", ".url",
        ".mat", ".npy", ".npz", ".pkl", ".pickle", ".pt", ".pth", ".bin", ".h5", ".hdf5", ".db",
        ".lmdb", ".mdb", ".rec", ".idx", ".lst", ".tfrecord", ".parquet", ".arrow", ".feather",
    }
)  # fmt: skip
"""Suffixes of files that are never images."""

LEFT_BY_SYSTEMS = frozenset(
    {
        # Windows and macOS.
        "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "folder.htt",
        "$recycle.bin", "recycler", "system volume information", "__macosx",
        "network trash folder", "temporary items", "thevolumesettingsfolder",
        # Synology, QNAP and other network storage; file systems.
        "@eadir", "@tmp", "@sharebin", "@recycle", "@recently-snapshot", "#recycle", "#snapshot",
        "~snapshot", "@__thumb", "@sharesnap", "_gsdata_", "lost+found", "found.000", "__pycache__",
        "picasa.ini", "zbthumbnail.info", "thumbs.db:encryptable",
    }
)  # fmt: skip
"""Files and folders that systems leave behind, in small letters; those with a dot are hidden."""

LEFT_SUFFIXES = ("@synoeastream", "@synoresource", ":zone.identifier")
KNOWN_HIDDEN = (
    ".@", "._", ".trash", ".thumb", ".appledouble", ".ipynb_checkpoints", ".snapshot",
    ".stversions", ".dropbox", ".comments", ".streams", ".syncthing", ".git",
)  # fmt: skip
"""How names begin that systems hide; another hidden folder or image may be a person's."""

WNID = re.compile(r"n\d{8}")
_WNID_AT_END = re.compile(r"_(n\d{8})$")
_WNID_AT_START = re.compile(r"^(n\d{8})_")


def normal(text: str) -> str:
    """The form in which names are compared: NFC."""
    return unicodedata.normalize("NFC", text)


def shown(name: str) -> str:
    """A name as a message writes it: escaped where it holds what cannot be seen."""
    visible = name.isprintable() and name == name.strip() and name == normal(name)
    return name if name and visible else ascii(name)


def shown_all(names: Iterable[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    more = len(every) - limit
    return ", ".join(map(shown, every[:limit])) + (f" and {more:,} more" if more > 0 else "")


def is_left_behind(name: str) -> bool:
    """Whether no person put it there: hidden, or left by a file manager or a storage box."""
    small = name.casefold()
    return name.startswith(".") or small in LEFT_BY_SYSTEMS or small.endswith(LEFT_SUFFIXES)


def suffix(name: str) -> str:
    """The last suffix in small letters, or ""."""
    stem, dot, end = name.rpartition(".")
    return f".{end.lower()}" if dot and stem else ""


def stem(name: str) -> str:
    """The last part of a path without an image's suffix, in normal form.

    Both kinds of slash separate folders: lists come from Windows too.
    """
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    end = suffix(name)
    return normal(name[: -len(end)] if end in EXTENSIONS else name)


def wnid_behind(stem_: str) -> str | None:
    """The WordNet id behind a name, as Hugging Face writes it: `ILSVRC2012_val_00000001_n0...`."""
    found = _WNID_AT_END.search(stem_)
    return found.group(1) if found else None


def wnid_before(stem_: str) -> str | None:
    """The WordNet id that a training image's name begins with: `n01440764_18`."""
    found = _WNID_AT_START.match(stem_)
    return found.group(1) if found else None


def without_wnid_behind(name: str) -> str:
    """A file's name without the WordNet id that Hugging Face writes behind its stem.

    `n01440764_18_n01440764.JPEG` becomes `n01440764_18.JPEG`, the published name.
    """
    end = suffix(name)
    bare = name[: len(name) - len(end)] if end else name
    return _WNID_AT_END.sub("", bare) + name[len(bare) :]
