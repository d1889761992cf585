"""Names on the pages are those of the code: fields, values, conditions, reasons, settings, metrics, alerts, targets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamqueue.api.parse import parse_spec
from streamqueue.scaling import Reason
from streamqueue.worker.metrics.counters import Counters
from streamqueue.worker.metrics.exposition import Metrics
from streamqueue.worker.settings import Settings
from tests.docs import PAGES, ROOT
from tests.unit.crd import schema
from tests.unit.monitoring.test_rules import ALERTS

DOCS = ROOT / "docs"
EACH = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
CODE = "".join(file.read_text() for file in sorted((ROOT / "operator").rglob("*.py")))
OF_OTHERS = {  # KEDA's, and a pod's
    *("cooldownPeriod", "stabilizationWindowSeconds", "lagCount", "pendingEntriesCount", "securityContext")
}


def rows(name: str, heading: str) -> list[list[str]]:
    """The cells of the first table below this heading of a page, without its own."""
    _, _, after = (DOCS / name).read_text().partition(f"## {heading}\n")
    table = re.search(r"^\|.*?(?=\n\n|\Z)", after, re.MULTILINE | re.DOTALL)
    assert table, heading
    return [line.strip("| ").split(" | ") for line in table[0].splitlines()[2:]]


def quoted(texts: Iterable[str]) -> list[str]:
    return re.findall(r"`([^`]+)`", " ".join(texts))


def named(node: Any) -> Iterator[str]:
    """In a schema, or in values."""
    if isinstance(node, dict):
        for name, child in node.get("properties", node).items():
            yield name
            yield from named(child)
        yield from named(node.get("items"))


KNOWN = {*named(schema.ROOT), *named(yaml.safe_load((ROOT / "charts/streamqueue/values.yaml").read_text())), *OF_OTHERS}


@EACH
def test_fields_and_values_that_a_page_names_are_there(page: Path) -> None:
    parts = [part for name in re.findall(r"`([A-Za-z.]+)`", page.read_text()) for part in name.split(".")]
    assert {part for part in parts if re.fullmatch("[a-z]+([A-Z][a-z]*)+", part)} <= KNOWN


@EACH
def test_variables_that_a_page_names_are_there(page: Path) -> None:
    ours = {f"STREAMQUEUE_{field.name.upper()}" for field in fields(Settings)}
    cluster = (ROOT / "tests/cluster/settings.py").read_text()
    told = set(re.findall(r"STREAMQUEUE(?:_[A-Z]+)+", page.read_text())) - ours
    assert [name for name in told if f'"{name}"' not in CODE + cluster] == []


@EACH
def test_targets_of_make_that_a_page_names_are_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    told = set(re.findall(r"(?:`|^)make ([a-z]+(?:-[a-z]+)*)(?![\w-])", page.read_text(), re.MULTILINE))
    targets = {target for target in told if not re.search(rf"^{target}:", makefile, re.MULTILINE)}
    assert [target for target in targets if not (ROOT / "benchmarks" / target.removeprefix("bench-")).is_dir()] == []


def manifests() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            yield page.name, block
    for file in sorted(ROOT.glob("examples/**/*.yaml")):
        yield str(file.relative_to(ROOT)), file.read_text()


QUEUES = [
    (place, each)
    for place, text in manifests()
    if "kind: StreamQueue" in text
    for each in yaml.safe_load_all(text)
    if each["kind"] == "StreamQueue"
]


@pytest.mark.parametrize("queue", [queue for _, queue in QUEUES], ids=[place for place, _ in QUEUES])
def test_manifests_of_pages_and_examples_can_be_used(queue: dict[str, Any]) -> None:
    parse_spec(queue["spec"])


def test_reasons_of_decisions_are_told() -> None:
    assert sorted(quoted(row[0] for row in rows("scaling.md", "Why is it so?"))) == sorted(Reason)
    listed = schema.STATUS["properties"]["reason"]["description"].partition(":")[2]
    assert set(re.findall(r"[A-Z]\w+", listed)) == set(Reason)


def test_conditions_and_their_reasons_are_told() -> None:
    told = [quoted(row[:1]) for row in rows("operations.md", "Conditions, and what to do")]
    assert {first.partition("=")[0] for first, *_ in told} == set(re.findall(r'Condition\("(\w+)"', CODE))
    assert [reason for _, *reasons in told for reason in reasons if f'"{reason}"' not in CODE] == []


def test_settings_of_a_worker_are_told_with_their_defaults() -> None:
    table, told = rows("worker.md", "Settings"), {}
    for names, defaults, *_ in table:
        listed, values = quoted([names]), defaults.split(", ")
        told |= dict(zip(listed, values if len(values) == len(listed) else values * len(listed), strict=False))
    beside = {f"NEXT_REDIS{name}" if name[0] == "_" else name for name in quoted(" ".join(row[2:]) for row in table)}
    settings = {field.name.upper(): field for field in fields(Settings)}
    assert told.keys() <= settings.keys() <= told.keys() | beside
    numbers = {name: each.default for name, each in settings.items() if each.type in ("int", "float")}
    assert {name: float(told[name]) for name in numbers if name != "GRACE"} | {"GRACE": 0} == numbers


def test_metrics_of_a_worker_are_told() -> None:
    made = re.findall(
        r"^# TYPE streamqueue_worker_(\w+)", Metrics("orders", "workers", Counters()).text(), re.MULTILINE
    )
    assert sorted(quoted(row[0] for row in rows("worker.md", "Metrics"))) == sorted(made)


def test_alerts_are_told() -> None:
    assert quoted(row[0] for row in rows("monitoring.md", "Alerts")) == [alert["alert"] for alert in ALERTS]


def test_pages_that_messages_name_are_there() -> None:
    named_pages = re.findall(r"docs/\w+\.md", CODE)
    assert named_pages
    assert [page for page in named_pages if not (ROOT / page).exists()] == []
