"""The checks, in the order of reading: what makes others fail comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from streamqueue.cli.doctor.checks import handler, keeping, operator, pods, reading, reclaim, redis, scaling, spec
from streamqueue.cli.doctor.facts import Facts
from streamqueue.cli.doctor.finding import Finding

Check = Callable[[Facts], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    operator.operator_down,
    operator.not_reported,
    spec.not_accepted,
    spec.other_warnings,
    redis.unreachable,
    redis.eviction,
    redis.persistence,
    reading.no_stream,
    reading.no_group,
    reading.lag_unknown,
    reading.other_stream,
    reading.shared_consumer,
    pods.image,
    pods.crash_loop,
    pods.container_config,
    pods.unschedulable,
    pods.never_ready,
    pods.lost,
    pods.second_budget,
    scaling.behind_at_max,
    scaling.no_room,
    scaling.held,
    scaling.slow_start,
    handler.never_acknowledges,
    handler.left_behind,
    handler.too_slow,
    handler.dead_letters,
    keeping.trim_pinned,
    keeping.payload_gone,
    reclaim.suspended,
    reclaim.failing,
    reclaim.several_groups,
)


def diagnose(facts: Facts) -> list[Finding]:
    """Every finding, problems first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda finding: finding.warning)
