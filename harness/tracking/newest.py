"""Where in MLflow's interface the newest study lies."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from harness.tracking.sender import STUDY_TAG

NEWEST = """
    SELECT runs.experiment_id, tags.value FROM runs JOIN tags USING (run_uuid)
    WHERE tags.key = ? AND runs.lifecycle_stage = 'active'
    ORDER BY runs.start_time DESC LIMIT 1
"""


def newest_study(database: Path) -> tuple[str, str] | None:
    """Name of the newest study and the page of its runs, as it stands after the address.

    Args:
        database: MLflow's SQLite file, which is only read.

    Returns:
        None where there is no study, or the file has another form.
    """
    try:
        with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            found = opened.execute(NEWEST, (STUDY_TAG,)).fetchone()
    except sqlite3.Error:
        return None
    if found is None:
        return None
    experiment, study = found
    wanted = f'tags."{STUDY_TAG}" = "{study}"'
    return study, f"/#/experiments/{experiment}/runs?searchFilter={quote(wanted, safe='')}"
