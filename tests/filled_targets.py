"""The file of a new target, its empty fields filled in as its author would by hand."""

FILLED = {
    "top1": "0.98", "threshold": "0.97", "n": "5", "margin": "0.02", "published": "0.004",
    "quoted": '"mine: 98.0"', "origin": '"its table"', "title": '"somebody"',
    "address": '"somewhere"', "table": '"Table 1"', "kind": '"digits"',
}  # fmt: skip


REASON = '"because it is small"'


def filled(text: str) -> str:
    """Every empty field with a value."""
    lines: list[str] = []
    table = ""
    for line in text.splitlines():
        table = line if line.startswith("[") else table
        field, equals, rest = line.partition(" = ")
        empty = equals and rest.startswith('""')
        value = REASON if table == "[reasons]" else FILLED.get(field, "")
        lines.append(f"{field} = {value}" if empty else line)
    return "\n".join(lines) + "\n"
