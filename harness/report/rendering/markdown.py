"""A report as Markdown for a pull request: the same facts without figures and folded tables."""

import re

from harness.report.rendering.content import Report, Section, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")


def markdown(report: Report) -> str:
    """Render a report. The same report gives the same bytes."""
    lines = [f"# {escaped(report.title)}"]
    for one in report.headlines:
        lines += ["", f"**{escaped(one.word or 'not judged')}**: {escaped(one.sentence)}", ""]
        lines += [f"- {escaped(reason)}" for reason in one.reasons]
    lines += ["", *(f"- {escaped(name)}: {escaped(words)}" for name, words in report.facts)]
    for section in report.sections:
        lines += ["", *_section(section)]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text in which nothing is Markdown or HTML; line breaks become spaces."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _section(section: Section) -> list[str]:
    lines = [f"## {escaped(section.title)}"]
    for paragraph in section.paragraphs:
        lines += ["", escaped(paragraph)]
    for table in section.tables:
        lines += ["", *_table(table)]
    for command in section.commands:
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", command)), default=0))
        lines += ["", fence, command, fence]
    return lines


def _table(table: Table) -> list[str]:
    if table.folded:
        return [f"{escaped(table.caption)}: {len(table.rows)} rows, on the HTML page."]
    rule = ["---:" if i in table.numeric else "---" for i in table.shown]
    rows = [table.columns, *table.rows]
    cells = [[escaped(row[i]) for i in table.shown] for row in rows]
    return [
        f"**{escaped(table.caption)}**",
        "",
        _row(cells[0]),
        _row(rule),
        *(_row(row) for row in cells[1:]),
        *(["", escaped(table.note)] if table.note else []),
    ]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
