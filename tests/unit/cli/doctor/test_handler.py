"""Does the handler finish in time, and acknowledge?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streamqueue.cli.doctor.checks import diagnose
from streamqueue.cli.doctor.finding import Finding
from streamqueue.streams import ConsumerView
from streamqueue.streams.entries import Entry
from streamqueue.streams.tasks import PARKED
from tests.unit.cli.build import (
    IMAGE,
    OTHER_POD,
    POD,
    cluster,
    facts,
    held,
    letter,
    only,
    queue,
    snapshot,
    spec,
    stream,
)


def test_a_task_that_runs_longer_than_the_spec_says() -> None:
    raw = spec(handler={"image": "i", "timeout": "10s"}, delivery={"visibilityTimeout": "30s"})
    long = stream(snapshot=snapshot(pending=1, oldest_pending_age=12.0), held=(held("10-0", idle=12.0),))
    finding = only(facts(cluster=cluster(queue=queue(raw)), stream=long))
    assert finding.check == "visibility-timeout"
    assert finding.cause == (
        "a task has run for 12s, longer than handler.timeout x batch, 10s: after visibilityTimeout, 30s, a second "
        "worker gets it as well"
    )
    assert finding.next.endswith("; streamqueue explain orders 10-0")
    short = stream(snapshot=snapshot(pending=1, oldest_pending_age=5.0), held=(held("10-0", idle=5.0),))
    assert diagnose(facts(cluster=cluster(queue=queue(raw)), stream=short)) == []
    batches = spec(handler={"image": "i", "timeout": "10s", "batch": 2}, delivery={"visibilityTimeout": "40s"})
    assert diagnose(facts(cluster=cluster(queue=queue(batches)), stream=long)) == [], "it may be the second of two"
    of_another = stream(snapshot=snapshot(pending=1), held=(held("10-0", consumer="orders-5f-zzzzz", idle=20.0),))
    assert diagnose(facts(cluster=cluster(queue=queue(raw)), stream=of_another)) == [], "no pod runs it"


def test_a_task_that_its_worker_renews_has_all_the_time() -> None:
    raw = spec(handler={"image": "i", "protocol": "sdk", "timeout": "10s"}, delivery={"visibilityTimeout": "2m"})

    def found(idle: float) -> list[str]:
        seen = stream(snapshot=snapshot(pending=1, oldest_pending_age=idle), held=(held("10-0", idle=idle),))
        return [each.check for each in diagnose(facts(cluster=cluster(queue=queue(raw)), stream=seen))]

    assert found(45.0) == [], "the next renewal is due after 40 s"
    assert found(70.0) == ["visibility-timeout"], "nobody renewed it"


def test_tasks_that_died_of_the_visibility_timeout() -> None:
    letters = (letter("1-0", "t1", "visibility-timeout"), letter("2-0", "t2", "visibility-timeout"))
    found = diagnose(facts(stream=stream(snapshot=snapshot(dead_letters=2), letters=letters)))
    by_name = {finding.check: finding for finding in found}
    assert by_name.keys() == {"dead-letters", "visibility-timeout"}
    assert "2 task(s) died because they were not acknowledged within visibilityTimeout, 5m," in (
        by_name["visibility-timeout"].cause
    )
    assert by_name["dead-letters"].cause.startswith("2 dead letter(s); the newest by cause: 2 x visibility-timeout")


def test_causes_that_read_the_same_are_counted_as_one() -> None:
    letters = tuple(letter(f"{n}-0", f"t{n}", f"{'x' * 150} {n}") for n in range(3))
    finding = only(facts(stream=stream(snapshot=snapshot(dead_letters=3), letters=letters)))
    assert finding.cause.count(" x xxx") == 1 and ": 3 x xxx" in finding.cause
    by_hand = stream(snapshot=snapshot(dead_letters=2), letters=(Entry("1-0", {b"sq-reason": b"no"}), Entry("2-0", {})))
    assert only(facts(stream=by_hand)).cause.endswith("the newest by cause: 1 x no, 1 x ?")


def test_dead_letters_without_room_for_more() -> None:
    few = queue(spec(delivery={"deadLetter": {"maxLength": 2}}))
    room, full = (
        only(facts(cluster=cluster(queue=few), stream=stream(snapshot=snapshot(dead_letters=count)))).cause
        for count in (1, 2)
    )
    assert "stay pending" not in room and "maxLength (2) is reached: further tasks stay pending" in full
    straight = facts(stream=stream(snapshot=snapshot(dead_letters=10_000)))
    assert "maxLength" not in only(replace(straight, cluster=None)).cause, "nobody chose that limit"


def test_tasks_that_a_handler_abandoned_to_death() -> None:
    found = facts(stream=stream(snapshot=snapshot(dead_letters=1), letters=(letter("1-0", "t1", "abandoned"),)))
    assert {finding.check for finding in diagnose(found)} == {"dead-letters", "left-pending"}


def test_what_a_living_consumer_of_one_slot_read_past_was_left_behind() -> None:
    rows = (held("4-0", idle=50.0), held("9-0", idle=1.0), held("5-0", OTHER_POD, idle=40.0))

    def found(seen: float, **handler: Any) -> list[Finding]:
        views = (ConsumerView(POD, 2, seen), ConsumerView(OTHER_POD, 1, 1.0))
        seen_now = stream(snapshot=snapshot(pending=3, consumers=views), held=rows)
        return diagnose(facts(cluster=cluster(queue=queue(spec(handler={"image": IMAGE, **handler}))), stream=seen_now))

    (finding,) = found(1.0)
    assert finding.check == "left-pending" and finding.cause.startswith(f"consumer {POD} left 1 task(s) pending")
    assert finding.next.startswith("streamqueue explain orders 4-0;")
    assert found(1.0, concurrency=2) == [], "the other slot may still be at it"
    assert found(61.0) == [], "it lives no more, and its work comes back"
    parked = (held("4-0", PARKED, idle=50.0), held("9-0", PARKED, idle=1.0))
    retries = stream(snapshot=snapshot(pending=2, consumers=(ConsumerView(PARKED, 2, 1.0),)), held=parked)
    assert diagnose(facts(stream=retries)) == [], "nobody reads under that name"


def test_never_acknowledging_is_told_from_one_slow_task() -> None:
    tail = tuple(Entry(f"{n}-0", {}) for n in range(1, 6))
    rows = tuple(held(f"{n}-0", consumer=f"c{n}", idle=300.0) for n in range(1, 6))
    all_held = stream(snapshot=snapshot(pending=5), tail=tail, held=rows)
    (finding,) = [each for each in diagnose(facts(stream=all_held)) if each.check == "never-acknowledges"]
    assert "of the last 5 tasks that were delivered none is done, 5 are pending, 0 came back or died" in finding.cause
    begun = tuple(held(row.id, consumer=f"c{n}", idle=119.0) for n, row in enumerate(rows))
    for doubt in ({"held": begun}, {"held_complete": False}):  # the handler has two minutes
        seen = diagnose(facts(stream=replace(all_held, **doubt)))
        assert "never-acknowledges" not in {each.check for each in seen}
    waiting = stream(snapshot=snapshot(undelivered=10, last_delivered_id="0-0"))
    assert diagnose(facts(stream=waiting)) == [], "none was delivered"
    few = stream(snapshot=snapshot(pending=2), tail=tail[:2], held=rows[:2])
    assert diagnose(facts(stream=few)) == [], "that may be chance"
    one_done = stream(snapshot=snapshot(pending=4), tail=tail, held=rows[1:])
    assert "never-acknowledges" not in {finding.check for finding in diagnose(facts(stream=one_done))}


def test_what_died_in_silence_was_never_acknowledged() -> None:
    tail = tuple(Entry(f"{n}-0", {}) for n in range(1, 6))

    def found(cause: str) -> set[str]:
        letters = tuple(letter(f"9-{n}", entry.id, cause) for n, entry in enumerate(tail))
        died = stream(snapshot=snapshot(dead_letters=5), tail=tail, letters=letters)
        return {finding.check for finding in diagnose(facts(stream=died))}

    assert found("visibility-timeout") == {"dead-letters", "never-acknowledges", "visibility-timeout"}
    assert found("ValueError: no") == {"dead-letters"}, "a worker of the SDK has told how it went"
