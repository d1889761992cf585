"""Each query of the dashboard gives an answer, in a real Prometheus that holds a recording of the real operator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.prometheus.dashboard import DASHBOARD, PICTURE, RECORDING, Target, targets
from tests.prometheus.server import Prometheus, serving
from tests.unit.monitoring.test_metrics import DOCS, ROW

ALL = list(targets())
# In the recording, where there were none.
MAY_BE_EMPTY = (
    "queues that can't be read",
    "busy pods terminated",
    "tasks trimmed by producers",
    "taken back from live workers, {{cause}}",
    "on their way {{namespace}}/{{queue}}",
    "to be retried {{namespace}}/{{queue}}",
)


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    with serving(RECORDING) as running:
        yield running


@pytest.mark.parametrize("target", ALL, ids=[f"{each.panel}, {each.legend}" for each in ALL])
def test_a_query_answers(target: Target, prometheus: Prometheus) -> None:
    assert "$" not in target.query
    series = prometheus.range(target.query)
    assert series or target.legend in MAY_BE_EMPTY
    names = [target.name(each["metric"]) for each in series]
    assert len(set(names)) == len(names), "two lines of one name"


def test_a_query_that_cant_be_run_is_noticed(prometheus: Prometheus) -> None:
    with pytest.raises(ValueError, match="parse error"):
        prometheus.range("sum(")


def test_every_metric_of_a_queue_has_its_place() -> None:
    """What isn't on the dashboard is left out on purpose."""
    known = {name for name, _, _ in ROW.findall(DOCS.read_text())}
    shown = set(re.findall(r"streamqueue_[a-z_]+", DASHBOARD.read_text()))
    shown = {name.removesuffix("_bucket") for name in shown}
    warnings = {"streamqueue_redis_may_lose_work", "streamqueue_results_stuck"}  # which alerts read, and the limits
    left_out = {"streamqueue_visibility_timeout_seconds", "streamqueue_handler_timeout_seconds", *warnings}
    assert shown == known - left_out


def test_panels_say_what_they_show_and_do_not_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["description"] and panel["title"] for panel in dashboard["panels"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(places)


def test_the_picture_is_there_for_the_docs() -> None:
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    assert f"({PICTURE.relative_to(DOCS.parent)})" in DOCS.read_text()
