"""Pages of the repository: links lead somewhere, commands are all named, versions agree."""

import re
from pathlib import Path

import pytest

from harness import __version__, errors
from harness.cli.main import Commands
from harness.verdict.speed import EXIT_CODES

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "harness" / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for place in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not place.startswith(("http", "#")):
            assert (page.parent / place.partition("#")[0]).exists(), place


def test_the_page_of_commands_names_every_one() -> None:
    named = set(re.findall(r"`([^`]*)`", (ROOT / "docs" / "commands.md").read_text()))
    words = {word for code in named for word in re.split(r"[\s|\\]+", code)}
    assert set(Commands.lazy) <= words


def test_the_page_of_commands_has_every_exit_code() -> None:
    page = (ROOT / "docs" / "commands.md").read_text()
    told = {int(n) for n in re.findall(r"\b(\d+)\b", page.partition("\nExit codes: ")[2])}
    families = [errors.HarnessError]
    for family in families:
        families += family.__subclasses__()
    assert {0, *EXIT_CODES.values(), *(family.exit_code for family in families)} <= told
    for words in EXIT_CODES:
        assert EXIT_CODES[words] in {0, 1} or words in page, words


def test_the_version_that_is_cited_is_this_one() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_answer_of_the_smoke_is_shown_with_the_words_that_can_be_pasted() -> None:
    text = (ROOT / "README.md").read_text()
    assert "MLflow:  .tox/smoke/bin/harness ui --runs runs\n" in text
