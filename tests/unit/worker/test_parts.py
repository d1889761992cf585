"""Small decisions of the worker."""

from __future__ import annotations

import datetime
import json
import math
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from streamqueue.streams.errors import RedisProblem
from streamqueue.streams.taken import NewEntries, Taken
from streamqueue.worker.context import Context
from streamqueue.worker.errors import DeadLetter, Retry, SettingsError
from streamqueue.worker.metrics.counters import Counters
from streamqueue.worker.metrics.exposition import Histogram, Metrics
from streamqueue.worker.metrics.pool import Pool
from streamqueue.worker.producer.queue import Queue, Sent, new_id
from streamqueue.worker.runs import Bundle, Run, Runs
from streamqueue.worker.settings import Settings
from streamqueue.worker.settling.outcome import RELEASED, Backoff, cause_of, failed, meant, result_json
from streamqueue.worker.settling.settler import Settler

POD = {"STREAMQUEUE_REDIS_URL": "redis://:secret@h/0", "STREAMQUEUE_STREAM": "orders"}


def run(n: int, crashes: int = 0) -> Run:
    return Run(Taken(f"{n}-0", "t", {}, 0, crashes), 1.0, lambda: None)


def test_backoff_doubles_up_to_its_limit_with_jitter_below() -> None:
    backoff = Backoff(1.0, 60.0)
    for attempt, full in [(1, 1), (2, 2), (6, 32), (7, 60), (10_000, 60)]:
        delays = [backoff.delay(attempt) for _ in range(200)]
        assert full / 2 <= min(delays) and max(delays) <= full
        assert max(delays) - min(delays) > full / 4


@pytest.mark.parametrize("values", [[], [0.25] * 4, [9000.0, 0.0, 0.005, 0.0051, 3600.0, 1e9, 0.7, 0.005]])
def test_values_count_together_as_one_by_one(values: list[float]) -> None:
    together, one_by_one = Histogram(), Histogram()
    together.observe_all(values)
    for value in sorted(values):
        one_by_one.observe(value)
    assert together.values() == one_by_one.values()
    together.observe(0.25, 4)
    assert sum(together.values()[:-1]) == len(values) + 4


def test_each_figure_is_told_under_its_own_name() -> None:
    metrics = Metrics('a"b\\c\nd', "workers", Counters(1, 2, 3, 4, 5, 6, 7, 8))
    metrics.in_flight = 9
    metrics.duration.observe(0.3, 2)
    metrics.duration.observe(7200.0)
    samples = [each for family in text_string_to_metric_families(metrics.text()) for each in family.samples]
    assert all(each.labels["stream"] == 'a"b\\c\nd' and each.labels["group"] == "workers" for each in samples)
    found = {(each.name.removeprefix("streamqueue_worker_"), each.labels.get("le")): each.value for each in samples}
    names = ("processed", "retried", "dead", "held", "released", "lease_lost", "gone", "claimed")
    assert [found[f"{name}_total", None] for name in names] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found["in_flight", None] == 9
    assert [found["duration_seconds_bucket", le] for le in ("0.1", "0.5", "3600.0", "+Inf")] == [0, 2, 2, 3]
    assert (found["duration_seconds_count", None], found["duration_seconds_sum", None]) == (3, 7200.6)
    assert found["end_to_end_seconds_count", None] == 0


def test_what_a_process_counted_outlives_it_and_what_it_ran_does_not() -> None:
    metrics = Metrics("orders", "workers", Counters(acked=3))
    metrics.in_flight = 2
    pool = Pool(2, 0)

    def figures() -> list[str]:
        lines = metrics.text(pool.total()).splitlines()
        return [
            line.split()[-1] for line in lines if line.startswith(("streamqueue_worker_proc", "streamqueue_worker_in"))
        ]

    try:
        for place in (0, 1):
            pool.row(place).write(metrics.values())
        assert figures() == ["6", "4"]
        next_in_its_place = pool.row(0)
        assert figures() == ["6", "2"]
        next_in_its_place.write(metrics.values())
        assert figures() == ["9", "4"]
    finally:
        assert pool.listening
        pool.listening.close()


def test_how_long_tasks_took_is_told_by_the_clock_that_their_times_are_of() -> None:
    metrics = Metrics("orders", "workers", Counters())
    metrics.server_ahead = -3600.0  # ours is an hour ahead
    now = 1_767_225_600_000.0
    metrics.acknowledged([now - 3_602_000, now, 0.0], now)  # 2 s ago; yet to come, by that clock; not known
    *counts, total = metrics.end_to_end.values()
    assert (sum(counts), counts[0], total) == (2, 1, 2.0)


@pytest.mark.parametrize("after", [-1, math.inf, math.nan])
def test_a_delay_without_an_end_is_refused_where_it_is_written(after: float) -> None:
    with pytest.raises(ValueError, match="a delay is zero or more seconds"):
        Retry(after=after)


def test_uncounted_retries_wait_longer_and_longer_too() -> None:
    def delay(deliveries: int, **how: bool) -> float:
        ctx = Context(Taken("1-0", "t", {}, 0, 0, deliveries), 1.0, lambda: None)
        return float(failed(ctx, Retry("not now", **how), Backoff(1.0, 300.0)).args[0]) / 1000

    assert delay(1, counted=False) <= 1
    assert 64 <= delay(8, counted=False) <= 128
    assert delay(8) <= 1, "attempts are what counts for failures"


def test_a_failure_waits_as_its_queue_says() -> None:
    limits = {"backoff_initial": 2.0, "backoff_max": 60.0}
    settler = Settler(Settings(redis_url="redis://h", stream="orders", consumer="pod", **limits))

    def delay(attempts: int) -> float:
        ctx = Context(Taken("1-0", "t", {}, attempts, 0), 1.0, lambda: None)
        return float(settler.failed(ctx, ValueError("no")).args[0]) / 1000

    assert 1 <= delay(0) <= 2 < 30 <= delay(9) <= 60


def test_a_handler_that_is_busy_for_hours_wears_no_task_out() -> None:
    settler = Settler(Settings(redis_url="redis://h", stream="orders", consumer="pod", max_deliveries=4))

    def delay(deliveries: int) -> float:
        ctx = Context(Taken("1-0", "t", {}, 0, 0, deliveries), 1.0, lambda: None)
        return float(settler.failed(ctx, Retry("not now", after=1, counted=False)).args[0]) / 1000

    assert [delay(deliveries) for deliveries in range(1, 41)] == [1] * 40
    assert delay(49) >= 128
    assert sum(map(delay, range(1, 80))) > 3600, "eighty deliveries are the end"


def looped() -> list[Any]:
    result: list[Any] = []
    result.append(result)
    return result


def deep() -> list[Any]:
    result: list[Any] = []
    for _ in range(100_000):
        result = [result]
    return result


@pytest.mark.parametrize("result", [object(), looped(), deep()], ids=["an object", "a loop", "too deep"])
def test_a_result_that_is_no_json_is_logged_and_its_task_is_done(
    result: object, caplog: pytest.LogCaptureFixture
) -> None:
    ctx = Context(Taken("1-0", "t", {}, 0, 0), 1.0, lambda: None)
    assert result_json(ctx, result) == "" and "the result is not kept" in caplog.text


def test_a_result_is_kept_as_the_json_that_a_field_would_be() -> None:
    ctx = Context(Taken("1-0", "t", {}, 0, 0), 1.0, lambda: None)
    result = {"day": datetime.date(2026, 1, 2), "sent": Sent("1", None)}
    kept = json.loads(result_json(ctx, result))
    assert kept["day"] == "2026-01-02" and kept["sent"]["id"] == "1"
    assert (result_json(ctx, None), result_json(ctx, False)) == ("", "false")


@pytest.mark.parametrize("kind", [ValueError, Retry, lambda text: group(ValueError(text), KeyError(text))])
def test_of_an_error_without_end_the_first_words_travel_with_the_task(kind: Callable[[str], Exception]) -> None:
    cause = cause_of(kind("because " * 10_000))
    assert len(cause) == 500 and "because because" in cause


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("unhandled errors in a TaskGroup", errors)


@pytest.mark.parametrize(
    ("error", "kind", "cause"),
    [
        (group(group(DeadLetter("never"))), "dead", "never"),
        (group(Retry("slow down", after=30), group(Retry("wait"))), "retry", "slow down"),
        (group(KeyError("a"), Retry("wait")), "retry", "KeyError: 'a'; wait"),
        (group(DeadLetter("never"), ValueError("b")), "retry", "never; ValueError: b"),
    ],
)
def test_a_group_of_exceptions_says_what_all_of_it_says(error: Exception, kind: str, cause: str) -> None:
    """Else it is a failure like any other, whose cause names each."""
    ctx = Context(Taken("1-0", "t", {}, 0, 0), 1.0, lambda: None)
    settlement = failed(ctx, meant(error), Backoff(1.0, 60.0))
    assert (settlement.kind, settlement.args[-1]) == (kind, cause)


def test_an_entry_with_a_crash_runs_with_nothing_beside_it() -> None:
    runs = Runs(3)
    first, crashed = run(1), run(2, crashes=1)
    assert runs.add([first, crashed]) == [first]
    assert runs.free(0) == 0 and runs.next_alone() is None
    runs.end([(first, RELEASED)])
    assert runs.next_alone() is crashed and runs.free(0) == 0 and runs.next_alone() is None
    runs.end([(crashed, RELEASED)])
    assert runs.free(0) == 3
    assert [held.id for held in runs.held()] == ["1-0", "2-0"], "leases are kept until the settlement is confirmed"


def test_what_waits_to_run_alone_keeps_its_lease_and_what_runs_alone_stays_alone() -> None:
    runs = Runs(3)
    runs.add([first := run(1), one := run(2, crashes=1), two := run(3, crashes=1)])
    assert set(runs.held()) == {first, one, two}
    runs.drop([first])
    assert runs.next_alone() is one and set(runs.held()) == {one, two}
    runs.drop([two])  # its lease was lost
    assert runs.free(0) == 0 and runs.next_alone() is None


def test_a_run_that_is_handed_back_before_its_turn_alone_never_begins() -> None:
    runs = Runs(3)
    runs.add([handed_back := run(1, crashes=1), other := run(2, crashes=1)])
    runs.end([(handed_back, RELEASED)])
    assert runs.next_alone() is other
    runs.end([(other, RELEASED)])
    assert runs.next_alone() is None and runs.free(0) == 3


@pytest.mark.parametrize(
    ("task_id", "shown"), [("50%d %s", "50%d %s"), ("a\nERROR b\x1b", r"a\nERROR b\x1b"), ("ü", "ü")]
)
def test_whatever_an_id_is_a_line_of_its_task_is_one_line(
    task_id: str, shown: str, caplog: pytest.LogCaptureFixture
) -> None:
    logger = Context(Taken("1-0", "t", {b"sq-id": task_id.encode()}, 0, 0), 1.0, lambda: None).logger
    logger.warning("%d of %d", 1, 2, extra={"n": 3})
    logger.error("100% done")
    assert caplog.messages == [f"[{shown}] 1 of 2", f"[{shown}] 100% done"]
    first = caplog.records[0]
    assert (first.task_id, first.n, first.filename) == (task_id, 3, "test_parts.py")  # type: ignore[attr-defined]


NEW = NewEntries(
    b"946684800000-3 946684800001-0", [[b"a", b"1"], [b"sq-enqueued-at", b"946684800002", b"sq-attempt", b"2"]], "t"
)


def test_new_entries_say_in_columns_what_each_says_alone() -> None:
    one, two = NEW.entries()
    assert (one.id, one.token, one.fields, one.attempts, one.deliveries) == ("946684800000-3", "t", {b"a": b"1"}, 0, 1)
    assert (two.attempts, [entry.fields for entry in (one, two)]) == (2, NEW.fields())
    assert NEW.enqueued_ms() == [one.enqueued_ms, two.enqueued_ms] == [946684800000.0, 946684800002.0]
    plain = NewEntries(b"7-0 946684800001-12", [[b"a", b"1"], [b"a", b"2"]], "t")
    assert plain.enqueued_ms() == [pytest.approx(entry.enqueued_ms, abs=1) for entry in plain.entries()]
    assert [entry.enqueued_ms for entry in plain.entries()] == [0.0, 946684800001.0]


def bundle() -> Bundle:
    return Bundle(NEW, lambda entries: [Run(entry, 1.0, lambda: None) for entry in entries])


def test_a_bundle_that_ends_whole_is_held_until_it_is_settled_and_never_lost() -> None:
    runs = Runs(5)
    assert runs.add_whole(both := bundle()) is both and runs.free(0) == 3 and runs and runs.is_settled
    assert both.is_whole
    runs.end_whole()
    assert runs.free(0) == 5 and runs and not runs.is_settled and runs.done is both
    assert [(run.id, run.is_over) for run in runs.held()] == [("946684800000-3", True), ("946684800001-0", True)]
    runs.done = None
    assert not runs and runs.is_settled


def test_a_bundle_is_whole_until_one_of_its_runs_is_asked_for() -> None:
    runs = Runs(5)
    runs.add_whole(both := bundle())
    held = set(runs.held())
    one, two = both
    assert not both.is_whole and held == {one, two} and not one.is_over and runs.free(0) == 3
    runs.drop([one])
    assert runs.executing == {two} and runs.free(0) == 4


def test_a_bundle_stays_whole_beside_other_runs() -> None:
    runs = Runs(5)
    runs.add_whole(both := bundle())
    assert runs.add([]) == [] and both.is_whole
    other = run(3)
    assert runs.add([other]) == [other] and both.is_whole and runs.free(0) == 2
    assert runs.executing == {other, *both}


def test_of_two_bundles_the_second_is_runs_from_the_start() -> None:
    runs = Runs(5)
    runs.add_whole(bundle())
    second = runs.add_whole(bundle())
    assert runs.free(0) == 1 and len(runs.executing) == 4 and runs.executing > set(second)


def test_a_bundle_that_waits_for_its_settlement_is_not_forgotten_for_the_next() -> None:
    runs = Runs(5)
    runs.add_whole(first := bundle())
    runs.end_whole()
    second = runs.add_whole(bundle())
    runs.end_whole()
    assert runs.done is first and runs.executing == set(second)


def test_slots_that_a_stuck_thread_holds_are_not_free() -> None:
    runs = Runs(2)
    runs.add([run(1)])
    assert (runs.free(0), runs.free(1), runs.free(5)) == (1, 0, 0)


def test_ids_are_uuids_of_version_7_in_order() -> None:
    ids = [new_id() for _ in range(100)]
    assert all(uuid.UUID(one).version == 7 and uuid.UUID(one).variant == uuid.RFC_4122 for one in ids)
    assert len(set(ids)) == 100 and [one[:12] for one in ids] == sorted(one[:12] for one in ids)


def test_settings_come_from_the_pod_and_hide_the_url() -> None:
    settings = Settings.from_environment(
        {
            **POD,
            "STREAMQUEUE_CONCURRENCY": "4",
            "STREAMQUEUE_TIMEOUT": "1.5",
            "STREAMQUEUE_NEXT_STREAM": "paid",
            "STREAMQUEUE_NEXT_REDIS_URL": "redis://:secret@there/0",
        },
        group="g",
    )
    assert (settings.concurrency, settings.timeout, settings.group, settings.grace_period) == (4, 1.5, "g", 11.5)
    assert "secret" not in repr(settings)


FILES = {
    "STREAMQUEUE_REDIS_URL_FILE": "/url",
    "STREAMQUEUE_NEXT_REDIS_URL_FILE": "/next",
    "STREAMQUEUE_NEXT_STREAM": "x",
}


def test_a_file_goes_before_a_url_of_the_environment_and_behind_one_in_code(tmp_path: Path) -> None:
    for name, host in (("own", "there"), ("next", "beyond")):
        (tmp_path / name).write_text(f"redis://:secret@{host}/0")
    files = {
        **FILES,
        "STREAMQUEUE_REDIS_URL_FILE": f"{tmp_path}/own",
        "STREAMQUEUE_NEXT_REDIS_URL_FILE": f"{tmp_path}/next",
    }
    for environment in (files, {**files, **POD}):
        settings = Settings.from_environment({"STREAMQUEUE_STREAM": "orders", **environment})
        assert (host_of(settings.connect()), host_of(settings.connect_next_redis())) == ("there", "beyond")
    in_code = Settings.from_environment({**files, **POD}, redis_url="redis://code", next_redis_url="redis://too")
    assert (host_of(in_code.connect()), host_of(in_code.connect_next_redis())) == ("code", "too")


def host_of(client: object) -> str:
    assert isinstance(client, Redis)
    return str(client.connection_pool.connection_kwargs["host"])


def test_each_endpoint_is_reached_as_its_own_settings_say() -> None:
    own = {"URL": "rediss://own/0", "CA_FILE": "/own.pem", "MODE": "standalone"}
    beyond = {"URL": "rediss://beyond/0", "CA_FILE": "/beyond.pem", "AUTH": "entra"}
    environment = {f"STREAMQUEUE_REDIS_{name}": value for name, value in own.items()}
    environment |= {f"STREAMQUEUE_NEXT_REDIS_{name}": value for name, value in beyond.items()}
    settings = Settings.from_environment({**POD, "STREAMQUEUE_NEXT_STREAM": "paid", **environment})
    for client, host, is_plain in ((settings.connect(), "own", True), (settings.connect_next_redis(), "beyond", False)):
        assert isinstance(client, Redis) and (type(client) is Redis) is is_plain, "in mode auto it may become a cluster"
        known = client.connection_pool.connection_kwargs
        assert (known["host"], known["ssl_ca_certs"]) == (host, f"/{host}.pem")
        assert ("credential_provider" in known) is not is_plain


@pytest.mark.parametrize("consumer", [{}, {"STREAMQUEUE_CONSUMER": ""}])
def test_a_consumer_without_a_name_is_called_after_its_host(consumer: dict[str, str]) -> None:
    assert Settings.from_environment({**POD, **consumer}).consumer == socket.gethostname()


def test_a_keyword_that_is_no_setting_is_named() -> None:
    with pytest.raises(SettingsError, match=r"Worker\(concurency=…\): no such setting"):
        Settings.from_environment(POD, concurency=4)


def test_without_a_url_both_variables_are_named() -> None:
    with pytest.raises(SettingsError, match="neither STREAMQUEUE_REDIS_URL_FILE nor STREAMQUEUE_REDIS_URL is set"):
        Settings.from_environment({"STREAMQUEUE_STREAM": "orders"})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"STREAMQUEUE_CONCURRENCY": "1e3"}, "CONCURRENCY must be a whole number, not '1e3'"),
        ({"STREAMQUEUE_CONCURRENCY": "0"}, "CONCURRENCY must be greater"),
        ({"STREAMQUEUE_STREAM": ""}, "STREAM is not set"),
        ({"STREAMQUEUE_STREAM": "a{b}{c}"}, "STREAM: braces"),
        ({"STREAMQUEUE_NEXT_REDIS_URL": "redis://x"}, "STREAMQUEUE_NEXT_REDIS_URL needs STREAMQUEUE_NEXT_STREAM"),
        ({"STREAMQUEUE_NEXT_REDIS_URL_FILE": "/x"}, "STREAMQUEUE_NEXT_REDIS_URL needs STREAMQUEUE_NEXT_STREAM"),
        ({"STREAMQUEUE_NEXT_REDIS_MODE": "both"}, "STREAMQUEUE_NEXT_REDIS_MODE must be auto or"),
        ({"STREAMQUEUE_TIMEOUT": "nan"}, "TIMEOUT must be a number, not nan"),
        ({"STREAMQUEUE_VISIBILITY_TIMEOUT": "inf"}, "VISIBILITY_TIMEOUT must be a number, not inf"),
        ({"STREAMQUEUE_RESULTS_TTL": "-1"}, "RESULTS_TTL must be 0 or more"),
        ({"STREAMQUEUE_GRACE": "-1"}, "GRACE must be 0 or more"),
        ({"STREAMQUEUE_BACKOFF_MAX": "-1"}, "BACKOFF_MAX must be greater than 0"),
        ({"STREAMQUEUE_DEAD_LETTER_MAX_LENGTH": "0"}, "DEAD_LETTER_MAX_LENGTH must be greater than 0"),
        ({"STREAMQUEUE_METRICS_PORT": "99999"}, "METRICS_PORT must be a port"),
        ({"STREAMQUEUE_GROUP": ""}, "GROUP must not be empty"),
        ({"STREAMQUEUE_START_FROM": "now"}, "START_FROM must be 0"),
    ],
)
def test_wrong_settings_name_the_variable(change: dict[str, str], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        Settings.from_environment({**POD, **change})


def test_a_number_in_code_is_one() -> None:
    with pytest.raises(SettingsError, match="TIMEOUT must be a number, not '60'"):
        Settings.from_environment(POD, timeout="60")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"id": 5}, "an id is text"),
        ({"id": ""}, "an id is at least one character"),
        ({"delay": math.inf}, "delay is from 0 to 3153600000 seconds"),
        ({"delay": 1e300}, "delay is from 0"),
        ({"delay": math.nan}, "delay is from 0"),
        ({"remembered": math.inf}, "remembered from a millisecond"),
        ({"replicated": True, "replicas": 0}, "is at least 1"),
    ],
)
async def test_a_send_that_cannot_be_is_refused_before_anything_is_sent(wrong: dict[str, Any], says: str) -> None:
    async with Queue("redis://127.0.0.1:1/0", "orders") as queue:
        with pytest.raises(ValueError, match=says):
            await queue.send({"a": 1}, **wrong)


@pytest.mark.parametrize(
    ("how", "says"),
    [({"mode": "sentinel"}, "mode sentinel goes with"), ({"auth": "entra"}, "with tokens for passwords")],
)
def test_a_producer_reaches_redis_in_the_way_that_it_is_told(how: dict[str, str], says: str) -> None:
    with pytest.raises(RedisProblem, match=says):
        Queue("redis://:secret@h", "orders", **how)


@pytest.mark.parametrize("ids", [[], ["1"], ["1", "2", "3"]])
async def test_each_of_many_has_an_id_or_none_has(ids: list[str]) -> None:
    async with Queue("redis://127.0.0.1:1/0", "orders") as queue:
        with pytest.raises(ValueError, match=f"2 payloads, but {len(ids)} ids"):
            await queue.send_many([{"a": 1}, {"a": 2}], ids=ids)
