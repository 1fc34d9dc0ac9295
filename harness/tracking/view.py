"""The page of MLflow's interface that shows the newest study: which runs, columns and charts."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.tracking.nested import STUDY_TAG
from harness.tracking.rows import TOP1_KEY

NEWEST = """
    SELECT runs.experiment_id, tags.value FROM runs JOIN tags USING (run_uuid)
    WHERE tags.key = ? AND runs.lifecycle_stage = 'active'
    ORDER BY runs.start_time DESC LIMIT 1
"""
SHARE_KEY = "newest-study"
COLUMNS = ("tags.`verdict`", f"metrics.`{TOP1_KEY}`", "metrics.`images_per_s`", "tags.`status`")
CHARTS = {
    "Accuracy": (TOP1_KEY, "train_accuracy"),
    "Training": ("loss", "learning_rate"),
    "Speed": ("images_per_s", "step_time_s/median", "data_wait_share"),
}
LIMIT_S = 10.0


@dataclass(frozen=True)
class NewestStudy:
    """A study of MLflow's database."""

    name: str
    experiment_id: str


def newest_study(database: Path) -> NewestStudy | None:
    """The study whose run began last.

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
    return None if found is None else NewestStudy(name=found[1], experiment_id=str(found[0]))


def view_state(study: NewestStudy) -> dict[str, Any]:
    """What MLflow 3.17's page keeps of a shared view: search, order, columns, charts."""
    return {
        "searchFilter": f'tags."{STUDY_TAG}" = "{study.name}"',
        # By name a study stands above its seeds; by date MLflow folds them away, charts with them.
        "orderByKey": "tags.`mlflow.runName`",
        "orderByAsc": True,
        "selectedColumns": list(COLUMNS),
        "compareRunCharts": list(_charts()),
        "compareRunSections": [
            {"uuid": name, "name": name, "display": True, "isReordered": True,
             "deleted": False, "isGenerated": False}
            for name in CHARTS
        ],
        "isAccordionReordered": True,
    }  # fmt: skip


def _charts() -> Iterator[dict[str, Any]]:
    for section, keys in CHARTS.items():
        for key in keys:
            yield {
                "type": "LINE", "uuid": f"line-{key}", "metricSectionId": section,
                "deleted": False, "isGenerated": False, "runsCountToCompare": 10,
                "metricKey": key, "selectedMetricKeys": [key], "displayName": key,
                "xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": "linear",
                "lineSmoothness": 0, "range": {}, "yAxisKey": "metric", "yAxisExpressions": [],
                "ignoreOutliers": False, "useGlobalXaxisKey": True,
                "useGlobalLineSmoothing": True,
            }  # fmt: skip


def share_view(address: str, study: NewestStudy) -> str:
    """Keep the view as MLflow's own "share" button does, in a tag of the experiment.

    Args:
        address: Of a server on this machine.
        study: What it shows.

    Returns:
        The page's address; without the view where the server does not take it.
    """
    # Without it MLflow's menu is that of language models.
    page = f"{address}/#/experiments/{study.experiment_id}/runs?workflowType=machine_learning"
    document = {
        "experiment_id": study.experiment_id,
        "key": f"mlflow.sharedViewState.{SHARE_KEY}",
        "value": json.dumps(view_state(study), separators=(",", ":")),
    }
    request = urllib.request.Request(  # noqa: S310 - the address is this process's own server
        f"{address}/api/2.0/mlflow/experiments/set-experiment-tag",
        json.dumps(document).encode(),
        {"Content-Type": "application/json"},
    )
    # A proxy of the environment knows nothing of this machine's own addresses.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=LIMIT_S):
            return f"{page}&viewStateShareKey={SHARE_KEY}"
    except OSError:
        return page
