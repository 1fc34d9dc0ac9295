"""Reports in tests: a section by name, and how `reports/` is rendered again."""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.bundle import member_name
from harness.analysis.judged_study import judged_study, load_runs
from harness.analysis.report import mistakes_of, page_of
from harness.analysis.thumbnails import PictureSources
from harness.record.journal import FILE_NAME, read_journal
from harness.record.run_folder import find_runs
from harness.report.accuracy import most_confident
from harness.report.rendering.content import Report, Section
from harness.report.rendering.markdown import markdown
from harness.report.rendering.page import html

REPORTS = Path(__file__).parents[1] / "reports"
KEPT = ("recipe.json", "environment.json", "certificate.json", "contact-sheet.png")
THUMBNAILS = "mistakes"


@dataclass(frozen=True)
class Rendered:
    """A study's files as they follow from its journals."""

    page: str
    text: str
    judgement: str

    def files(self) -> dict[str, str]:
        return {
            "report.html": self.page,
            "report.md": self.text,
            "judgement.json": self.judgement,
        }


def studies() -> list[Path]:
    return sorted(path.parent for path in REPORTS.glob("*/runs"))


def render(study: Path) -> Rendered:
    runs = find_runs(sorted((study / "runs").glob("*")))
    judged = judged_study(load_runs(runs))
    text = judged.portable.json() if judged.portable else judged.why_not
    content = page_of(judged, PictureSources(thumbnails=study / THUMBNAILS))
    return Rendered(html(content), markdown(content), text + "\n")


def drawn_with(study: Path) -> str:
    """The version of matplotlib beside which the runs were made and the page was drawn."""
    first = find_runs(sorted((study / "runs").glob("*")))[0]
    return str(read_journal(first).started.environment["packages"]["matplotlib"])


def without_drawings(page: str) -> str:
    return re.sub(r"<svg .*?</svg>", "<svg>", page, flags=re.DOTALL)


def add(name: str, data: Path, paths: list[Path]) -> Path:
    """Copy runs, without checkpoints and without predictions of unfinished weights.

    Of the data only the pictures that the page shows are kept, small.
    """
    study = REPORTS / name
    found = mistakes_of(load_runs(find_runs(paths)))
    ids = [one.image_id for some in found.by_run.values() for one in some]
    pictures, _ = PictureSources(data=data).of_images(ids)
    for _, one in most_confident(found, pictures):
        path = study / THUMBNAILS / f"{one.image_id}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[one.image_id][1])
    for run in find_runs(paths):
        for file in _published(run):
            target = study / member_name(run, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    return study


def _published(run: Path) -> list[Path]:
    """The files of a run that are committed; an excerpt holds no others."""
    journal = read_journal(run)
    if journal.excerpt is not None:
        return [path for path in sorted(run.iterdir()) if path.is_file()]
    finals = [e.predictions_file for e in journal.evaluations if e.final and e.predictions_file]
    return [run / name for name in (FILE_NAME, *KEPT, *finals) if (run / name).is_file()]


def write(study: Path) -> None:
    for name, text in render(study).files().items():
        (study / name).write_text(text, encoding="utf-8")


def main(words: list[str]) -> None:
    match words:
        case ["add", name, data, *paths] if paths:
            write(add(name, Path(data), [Path(path) for path in paths]))
        case ["render"]:
            for study in studies():
                write(study)
        case _:
            sys.exit("python -m tests.rendered_reports add NAME DATA RUN... | render")


if __name__ == "__main__":
    main(sys.argv[1:])


def section_of(content: Report, name: str) -> Section:
    (section,) = [one for one in content.sections if one.name == name]
    return section
