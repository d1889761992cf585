"""What is typed and what is printed."""

from __future__ import annotations

import io
import json

import pytest
import yaml
from rich.console import Console

from streamqueue.cli.commands.status import COLUMNS, conditions, summary
from streamqueue.cli.commands.top import _cells
from streamqueue.cli.errors import BadInput
from streamqueue.cli.letters import Wanted, died_at
from streamqueue.cli.live import add_row, new_table
from streamqueue.cli.moments import entry_time, parse_moment
from streamqueue.cli.options import Selection
from streamqueue.cli.output import Column, age, counted, document, printable, shorten, show_first, show_one, table
from streamqueue.cli.port_forward import Address, cluster_address
from streamqueue.streams.entries import Entry
from tests.unit.cli.build import NOW, condition, queue, rfc3339


@pytest.mark.parametrize(
    ("word", "moment"),
    [
        ("1700000000000-7", "1700000000000-7"),
        ("0", "0"),
        ("18446744073709551615-0", "18446744073709551615-0"),
        ("1m30s", "1699999910000"),
        ("2023-11-14T22:13:20Z", "1700000000000"),
        ("2023-11-14T23:13:20+01:00", "1700000000000"),
        ("999999h", "0"),
        ("1969-12-31T23:00:00Z", "0"),
    ],
)
def test_moments(word: str, moment: str) -> None:
    assert parse_moment(word, 1_700_000_000.0, "--from") == moment


@pytest.mark.parametrize("word", ["", "yesterday", "17-", "1700000000000", "0001-01-01", f"{2**64}-0"])
def test_no_moment(word: str) -> None:
    with pytest.raises(BadInput, match="--from"):
        parse_moment(word, 0.0, "--from")


def test_an_id_that_is_no_time_has_none() -> None:
    assert entry_time("1700000000000-7") == "2023-11-14T22:13:20.000Z"
    assert entry_time("17-0") is None
    assert [entry_time(f"{at}-0") for at in (946_684_800_000, 946_684_799_999)] == ["2000-01-01T00:00:00.000Z", None]
    assert [entry_time(f"{at}000-0") for at in (253_402_300_799, 253_402_300_800)] == ["9999-12-31T23:59:59.000Z", None]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, None), (0, "0ms"), (0.25, "250ms"), (1, "1s"), (59.9, "59s"), (60, "1m"), (3725, "1h2m"), (90061, "1d1h")],
)
def test_ages(seconds: float | None, text: str | None) -> None:
    assert age(seconds) == text


def test_what_is_counted_is_one_or_many_and_what_is_cut_says_so() -> None:
    assert [counted(n, "entry", "entries") for n in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert [shorten(value, 4) for value in ("abc", "abcd", "abcde")] == ["abc", "abcd", "abc…"]


def test_nothing_printed_moves_the_cursor() -> None:
    assert printable("a\x1b[2J\nb\u202e") == "a\\x1b[2J\\nb\\u202e"
    columns = (Column("A", lambda row: row["a"]), Column("B", lambda row: row["b"]))
    assert table([{"a": "x\ny", "b": None}], columns) == ["A      B", "x\\ny   -"]


@pytest.mark.parametrize(
    ("output", "rows", "row"),
    [
        ("table", "A\n1\n3\n", "A\n1\n"),
        ("wide", "A   B\n1   2\n3   4\n", "A   B\n1   2\n"),
        ("name", "1\n3\n", "1\n"),
        ("yaml", "- a: 1\n  b: 2\n- a: 3\n  b: 4\n", "a: 1\nb: 2\n"),
        (
            "json",
            '[\n  {\n    "a": 1,\n    "b": 2\n  },\n  {\n    "a": 3,\n    "b": 4\n  }\n]\n',
            '{\n  "a": 1,\n  "b": 2\n}\n',
        ),
    ],
)
def test_rows_are_printed_for_people_programs_and_pipes(
    output: str, rows: str, row: str, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = (Column("A", lambda row: row["a"]), Column("B", lambda row: row["b"], wide=True))
    records = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    show_first(2, records, columns, output, "a", "None.")
    assert capsys.readouterr() == (rows, "")
    show_one(records[0], columns, output, "a")
    assert capsys.readouterr() == (row, "")
    show_first(1, records, columns, output, "a", "None.")
    assert capsys.readouterr().err == "Only the first 1 are listed: -c lists more\n"
    show_first(1, [], columns, output, "a", "None.")
    assert capsys.readouterr().err == ("None.\n" if output in ("table", "wide") else "")


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_no_document_moves_the_cursor(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Terminals take U+009B for the beginning of an escape sequence; JSON leaves it as it is."""
    given = {"text": "\x1b[2J \x9b2J \x7f \u202e Wörter 漢字 \U000e0041 \ud800", "lines": ["a", "b"]}
    document(given, output)
    printed = capsys.readouterr().out
    assert not {"\x1b", "\x9b", "\x7f"} & set(printed), printed
    assert "Wörter 漢字" in printed and yaml.safe_load(printed)["lines"] == ["a", "b"]
    if output == "json":
        assert json.loads(printed) == given and printed.replace("\n", "").isprintable()


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    columns = (Column("A", lambda row: row["a"]), Column("B", lambda row: row["b"]))
    assert table([{"a": "漢字", "b": 1}, {"a": "cafe\u0301", "b": 2}], columns) == [
        "A      B",
        "漢字   1",
        "cafe\u0301   2",
    ]


def test_a_row_holds_what_the_status_says_and_the_ages_as_of_now() -> None:
    says = {
        "lag": 3,
        "lagKnown": True,
        "pending": 2,
        "retrying": 1,
        "deadLetters": 4,
        "reason": "Steady",
        "message": "why",
    }
    told = [condition("Accepted", "True", "Valid"), condition("Ready", "False", "NotRead")]
    body = queue(**says, replicasSummary="1/2", oldestWaitingTime=rfc3339(90), conditions=told)
    place = {"name": "orders", "namespace": "shop", "stream": "orders", "group": "workers"}
    since = {"ageSeconds": 3600.0, "oldestWaitingSeconds": 90.0}
    assert summary(body, NOW) == says | place | since | {"ready": "False", "replicas": "1/2"}
    assert summary(queue(oldestWaitingTime=rfc3339(-5)), NOW)["oldestWaitingSeconds"] == 0, "by a clock that is behind"
    fresh = summary(queue(), NOW)
    assert [fresh[name] for name in ("ready", "lag", "oldestWaitingSeconds", "replicas")] == [None] * 4


def test_conditions_that_need_somebody_come_first() -> None:
    kinds = (("Accepted", "True"), ("DeadLetters", "True"), ("Ready", "False"), ("RedisReachable", "Unknown"))
    found = conditions(queue(conditions=[condition(kind, status, "Why") for kind, status in kinds]))
    assert [each["type"] for each in found] == ["DeadLetters", "Ready", "RedisReachable", "Accepted"]
    assert found[0] == condition("DeadLetters", "True", "Why") | {"lastTransitionTime": None}


def test_a_lower_bound_of_the_lag_is_never_shown_as_the_lag() -> None:
    metadata = {"name": "orders", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"}
    for known, shown in ((True, "1000"), (None, "1000"), (False, ">=1000")):
        seen = {"lag": 1000} if known is None else {"lag": 1000, "lagKnown": known}
        row = summary({"metadata": metadata, "spec": {}, "status": seen}, 1_767_225_660.0)
        listed = next(column for column in COLUMNS if column.title == "LAG")
        assert str(listed.cell(row)) == str(_cells(row)[2]) == shown


def test_the_last_column_gives_way() -> None:
    table = new_table(("NAME", "REPLICAS", "MESSAGE"), "namespace shop")
    add_row(table, "orders", 3, "[3 -> 4] " + "a long sentence " * 9)
    printed = io.StringIO()
    Console(file=printed, width=40).print(table)
    *_, titles, row = printed.getvalue().splitlines()
    assert titles.split() == ["NAME", "REPLICAS", "MESSAGE"]
    assert row.startswith("orders  3") and "[3 -> 4] a" in row and row.endswith("…")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("redis", Address("shop", "redis")),
        ("redis.data", Address("data", "redis")),
        ("redis.data.svc", Address("data", "redis")),
        ("Redis.data.svc.cluster.local.", Address("data", "redis")),
        ("redis-0.redis.data.svc.cluster.local", Address("data", "redis", "redis-0")),
        ("localhost", None),
        ("10.0.0.7", None),
        ("cache.redis.example.com", None),
        ("::1", None),
        ("", None),
    ],
)
def test_which_hosts_are_services(host: str, address: Address | None) -> None:
    assert cluster_address(host, "shop") == address


def test_what_to_type_again_shows_no_password() -> None:
    straight = Selection(redis="redis://user:pw@h:1/0", stream="orders", group="workers")
    assert straight.again == '--redis "$STREAMQUEUE_REDIS_URL" --stream orders --group workers'
    in_its_query = Selection(redis="redis://h:1/0?password=pw", stream="orders")
    assert in_its_query.again == '--redis "$STREAMQUEUE_REDIS_URL" --stream orders'
    assert Selection(queue="orders", namespace="shop").again == "orders -n shop"
    assert Selection(queue="orders").again == Selection(queue="orders").label == "orders"
    assert straight.label == "orders/workers"


def test_what_to_type_again_can_be_pasted() -> None:
    straight = Selection(redis="redis://[::1]:6379/0", stream="{shop}:new orders", group="a;b")
    assert straight.again == "--redis 'redis://[::1]:6379/0' --stream '{shop}:new orders' --group 'a;b'"
    assert straight.redis_cli == "redis-cli -u 'redis://[::1]:6379/0'"


def test_what_to_type_again_means_the_same_cluster_and_the_same_ca() -> None:
    elsewhere = Selection(queue="orders", namespace="shop", context="prod eu")
    assert elsewhere.again == "orders -n shop --context 'prod eu'"
    assert elsewhere.redis_cli == "redis-cli"
    secure = Selection(redis="rediss://user:pw@h:1/0", stream="orders", group="workers", ca_file="my ca.pem")
    assert "--ca-file 'my ca.pem'" in secure.again
    assert secure.redis_cli == "redis-cli -u \"$STREAMQUEUE_REDIS_URL\" --cacert 'my ca.pem'"
    assert Selection(redis="redis+sentinel://h/m", stream="orders", group="workers").redis_cli == "redis-cli"


LETTER = Entry(
    "1767225600000-0",
    {b"sq-id": b"order-1", b"sq-reason": b"crash", b"sq-cause": b"OOMKilled", b"sq-dead-at": b"1767225601000"},
)


@pytest.mark.parametrize(
    ("wanted", "is_meant"),
    [
        (Wanted(), True),
        (Wanted(frozenset({LETTER.id})), True),
        (Wanted(frozenset({"order-1"})), False),
        (Wanted(tasks=frozenset({"order-1", "order-2"})), True),
        (Wanted(tasks=frozenset({LETTER.id})), False),
        (Wanted(frozenset({LETTER.id}), frozenset({"order-2"})), False),
        (Wanted(reason="oom"), True),
        (Wanted(reason="CRASH"), True),
        (Wanted(reason="exit"), False),
        (Wanted(older=60.0), True),
        (Wanted(older=60.1), False),
        (Wanted(reason="oom", older=60.1), False),
    ],
)
def test_each_given_part_must_hold_of_a_letter(wanted: Wanted, is_meant: bool) -> None:
    assert wanted.takes(LETTER, 1_767_225_661.0) is is_meant


def test_a_letter_is_as_old_as_it_says_or_else_as_its_entry() -> None:
    """What is known of none must not be purged for its age."""
    unsaid = Entry(LETTER.id, {b"sq-dead-at": b"yesterday"})
    assert [died_at(letter) for letter in (LETTER, unsaid)] == [1_767_225_601.0, 1_767_225_600.0]
