"""The alerts by promtool, and what each owes to the person it wakes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Context

from streamqueue.cli.main import cli
from tests.prometheus.install import promtool
from tests.unit.monitoring.test_metrics import DOCS, ROW

ROOT = Path(__file__).parents[3]
RULES = ROOT / "charts" / "streamqueue" / "files" / "rules.yaml"
TESTS = Path(__file__).with_name("rules_test.yaml")

ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
by_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])


def test_promtool_takes_the_rules() -> None:
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_each_alert_fires_and_stays_silent_as_it_should() -> None:
    done = promtool("test", "rules", TESTS)
    assert done.returncode == 0, done.stdout + done.stderr


@by_alert
def test_an_alert_is_tested_both_ways(alert: dict[str, Any]) -> None:
    tests = [one for each in yaml.safe_load(TESTS.read_text())["tests"] for one in each["alert_rule_test"]]
    expected = [one["exp_alerts"] for one in tests if one["alertname"] == alert["alert"]]
    assert any(expected), "no test expects it to fire"
    assert not all(expected), "no test expects it to be silent"


@by_alert
def test_an_alert_reads_only_what_the_operator_shows(alert: dict[str, Any]) -> None:
    known = {name for name, _, _ in ROW.findall(DOCS.read_text())}
    used = set(re.findall(r"streamqueue_\w+", alert["expr"]))
    assert used and used <= known


@by_alert
def test_an_alert_says_what_to_do_next(alert: dict[str, Any]) -> None:
    annotations = alert["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook_url"}
    assert alert["labels"]["severity"] in ("warning", "critical")
    command = annotations["description"].partition(" Next: ")[2].split()
    assert command[0] in ("streamqueue", "kubectl")
    if command[0] == "streamqueue":
        assert cli.get_command(Context(cli), command[1]), command


@by_alert
def test_the_runbook_has_a_section_for_it(alert: dict[str, Any]) -> None:
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    sections = re.split(r"^#+ ", (ROOT / page).read_text(), flags=re.MULTILINE)
    (section,) = [text for text in sections if _anchor(text.splitlines()[0] if text else "") == anchor]
    assert f"`{alert['alert']}`" in section


def _anchor(heading: str) -> str:
    """As GitHub makes it from a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
