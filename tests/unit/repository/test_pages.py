"""Pages name only what exists, and their lines fit a screen."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.main import Commands

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md"), ROOT / "README.md"])
ENTRANCES = (ROOT / "harness/README.md", ROOT / "README.md")
LINE_CHARACTERS = 120
ENDINGS = (".py", ".md", ".toml", ".json", ".csv", ".lock", ".ini", ".css", ".j2")
WRITTEN_BY_RUNS = {"environment.json", "recipe.json", "certificate.json", "judgement.json"}
ANY_FOLDER = ("docs", "harness", "tests", "baselines", "reports", "..")
"""What a folder's path begins with, to tell it from the layouts of data sets and runs."""


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def paths_in(page: Path) -> Iterator[str]:
    """Backticked paths of files with known endings, and of folders of this repository."""
    for text in re.findall(r"`([^`\s]+)`", prose(page)):
        if re.search(r"[<>{}:]", text) or text.startswith(("runs/", "/")):
            continue
        folder = text.endswith("/") and text.split("/")[0] in ANY_FOLDER
        if folder or (text.endswith(ENDINGS) and text not in WRITTEN_BY_RUNS):
            yield text


def exists(path: str, page: Path) -> bool:
    """From the root, the page's folder or the package; a bare name may lie anywhere in these."""
    starts = (ROOT, page.parent, ROOT / "harness")
    if any(True for start in starts for _ in _found(start, path)):
        return True
    return "/" not in path and any(
        True for part in ("harness", "tests") for _ in (ROOT / part).rglob(path)
    )


def _found(start: Path, path: str) -> Iterator[Path]:
    while path.startswith("../"):
        start, path = start.parent, path.removeprefix("../")
    return start.glob(path)


def linked_from(page: Path) -> list[Path]:
    """Pages of `docs/` that a page leads to."""
    links = re.findall(r"\]\(([^)#\s]+\.md)", page.read_text())
    found = {(page.parent / link).resolve() for link in links if "://" not in link}
    return sorted(path for path in found if path.parent == ROOT / "docs")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_path_on_a_page_exists(page: Path) -> None:
    assert [path for path in paths_in(page) if not exists(path, page)] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_on_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", prose(page))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_lines_of_the_architecture_pages_fit() -> None:
    """Of the architecture page and of those that it leads to, other entrances aside."""
    page = ENTRANCES[0]
    pages = [page, *linked_from(page)]
    assert len(pages) > 1
    long = [
        (named(page), line)
        for page in pages
        for line in page.read_text().splitlines()
        if len(line) > LINE_CHARACTERS
    ]
    assert long == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_on_a_page_exist(page: Path) -> None:
    assert set(re.findall(r"`harness ([a-z]+)", page.read_text())) <= set(Commands.lazy)


def test_names_of_code_on_the_architecture_pages_exist() -> None:
    code = {
        word
        for folder in ("harness", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for word in re.findall(r"\w+", path.read_text())
    }
    name = r"`((?:[A-Z]\w+|[a-z]+_[a-z_]*[a-z])(?:\.\w+)*)`"  # constants, classes, compound names
    pages = [ENTRANCES[0], *linked_from(ENTRANCES[0])]
    used = {found for page in pages for found in re.findall(name, prose(page))}
    assert len(used) > 10
    assert [found for found in sorted(used) if not set(found.split(".")) <= code] == []


def test_every_page_of_docs_is_linked_from_an_entrance() -> None:
    linked = {page for entrance in ENTRANCES for page in linked_from(entrance)}
    assert {named(page) for page in set(ROOT.glob("docs/*.md")) - linked} == set()


@pytest.mark.parametrize("path", ["harness/no_room/no.py", "no_such_name.py", "../no/such.md"])
def test_a_path_that_is_none_is_found(path: str) -> None:
    assert not exists(path, ROOT / "docs/runs.md")
