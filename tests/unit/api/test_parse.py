"""What the shared table of manifests (`tests/unit/crd/cases.py`) does not say of the parser."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import parse_spec
from streamqueue.api.render import render_spec
from streamqueue.api.spec import Handler, QueueSpec, Redis, RetentionPolicy, TargetBacklog, TargetWait
from tests.unit.api.strategies import specs
from tests.unit.crd.cases import manifest


def _spec(**change: Any) -> dict[str, Any]:
    spec: dict[str, Any] = manifest({f"spec.{path}": value for path, value in change.items()})["spec"]
    return spec


def test_the_shortest_spec_gets_the_documented_defaults() -> None:
    parsed = parse_spec(_spec())

    assert parsed == QueueSpec(
        redis=Redis(url="redis://redis:6379/0"),
        stream="orders",
        group="workers",
        handler=Handler("registry.example/orders-handler:1.4"),
    )
    assert (parsed.handler.timeout, parsed.delivery.visibility_timeout) == (120, 300)
    assert parsed.scaling.target == TargetWait(30)
    assert (parsed.scaling.min_replicas, parsed.scaling.max_replicas) == (0, 10)
    assert parsed.retention.policy is RetentionPolicy.NONE


@given(specs())
def test_a_spec_survives_being_written(spec: QueueSpec) -> None:
    written = render_spec(spec)
    assert parse_spec(written) == spec
    assert ("template" in written) == bool(spec.template)
    assert "null" not in json.dumps(written)


@pytest.mark.parametrize("processes", [1, 2])
def test_processes_are_written_where_there_are_several(processes: int) -> None:
    spec = parse_spec(_spec(handler={"image": "x", "protocol": "sdk", "concurrency": 4, "processes": processes}))
    assert render_spec(spec)["handler"].get("processes", 1) == processes


@pytest.mark.parametrize(("value", "says"), [(None, "is required"), ("", "must not be empty")])
def test_what_must_be_there_is_asked_for(value: str | None, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_spec(_spec(group=value))


def test_target_backlog_leaves_no_target_wait() -> None:
    assert parse_spec(_spec(scaling={"targetBacklog": 5})).scaling.target == TargetBacklog(5)


def test_the_scaling_law_learns_the_handlers_concurrency() -> None:
    assert parse_spec(_spec(handler={"image": "x", "concurrency": 8})).scaling.concurrency == 8


@pytest.mark.parametrize(("protocol", "cordons"), [("redis", False), ("sdk", True), ("http", True)])
def test_a_plain_loop_is_not_told_to_take_no_more(protocol: str, cordons: bool) -> None:
    assert parse_spec(_spec(handler={"image": "x", "protocol": protocol})).scaling.cordons is cordons


def test_a_null_counts_as_absent() -> None:
    assert parse_spec(_spec(scaling=None, template=None)) == parse_spec(_spec())
    assert parse_spec(_spec(template={"metadata": None, "spec": {"containers": None}})).handler.batch == 1


def test_an_unknown_field_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SpecError, match=r"spec\.scaling has minReplicas, maxReplicas") as error:
        parse_spec(_spec(scaling={"maxReplica": 5}))

    assert error.value.field == "spec.scaling.maxReplica"


@pytest.mark.parametrize("url", ["redis://u:hunter2@redis:6379", "redis://redis:6379?password=hunter2", "redis://a@b"])
def test_credentials_belong_in_a_secret(url: str) -> None:
    with pytest.raises(SpecError, match="put the whole URL in a Secret") as error:
        parse_spec(_spec(redis={"url": url}))

    assert "hunter2" not in str(error.value)


def test_numbers_in_an_error_are_those_of_the_spec() -> None:
    with pytest.raises(SpecError, match=r"is 5m, but must be at least 2 x handler\.timeout x handler\.batch = 8m"):
        parse_spec(_spec(handler={"image": "x", "batch": 2}))


@pytest.mark.parametrize("entry", ["9-1", "1-60", "*-5", "1/60/2", "", "5/", "-5"])
def test_a_schedule_that_a_cron_job_would_refuse_is_refused(entry: str) -> None:
    with pytest.raises(SpecError, match="minute of a cron schedule") as error:
        parse_spec(_spec(reclaim={"schedule": f"{entry} * * * *"}))

    assert error.value.field == "spec.reclaim.schedule"


@pytest.mark.parametrize(
    ("template", "field"),
    [
        ("text", "spec.template"),
        ({"metadata": []}, "spec.template.metadata"),
        ({"metadata": {"labels": []}}, "spec.template.metadata.labels"),
        ({"spec": []}, "spec.template.spec"),
        ({"spec": {"containers": ["x"]}}, "spec.template.spec.containers[0]"),
        ({"spec": {"containers": [{"name": 5}]}}, "spec.template.spec.containers[0].name"),
        ({"spec": {"containers": [{"name": "x", "env": {}}]}}, "spec.template.spec.containers[0].env"),
        ({"spec": {"containers": [{"name": "x", "ports": [{}, 8080]}]}}, "spec.template.spec.containers[0].ports"),
        ({"spec": {"containers": [{"name": "x", "ports": {}}]}}, "spec.template.spec.containers[0].ports"),
    ],
)
def test_an_overlay_that_cannot_be_merged_is_refused(template: Any, field: str) -> None:
    with pytest.raises(SpecError) as error:
        parse_spec(_spec(template=template))

    assert error.value.field == field
