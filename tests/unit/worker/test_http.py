"""A task as a request, and what a reply means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamqueue.streams.taken import Taken
from streamqueue.worker.context import Context
from streamqueue.worker.errors import DeadLetter, Retry, SettingsError
from streamqueue.worker.handler import Undecodable
from streamqueue.worker.http.event import Request, request_of
from streamqueue.worker.http.reply import Unusable, judge, result_of, retry_after
from streamqueue.worker.http.settings import Target

NOW = 1_767_225_600.0
TODAY = "Thu, 01 Jan 2026 00:00:00 GMT"


def request(
    fields: dict[str, bytes],
    own: dict[bytes, bytes] | None = None,
    stream: str = "orders",
    entry_id: str = "1767225600000-0",
    **target: Any,
) -> Request:
    entry = Taken(entry_id, "t", own or {}, 1, 0)
    ctx = Context(entry, 1.0, lambda: None)
    return request_of(ctx, fields, stream, Target("http://127.0.0.1:8080/", **target))


def test_a_task_is_a_cloud_event_in_binary_mode() -> None:
    made = request({"sku": b"\xc3\xa4 1", "n": b"3"})

    assert json.loads(made.body) == {"sku": "ä 1", "n": "3"}
    assert made.headers == {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-type": "dev.streamqueue.task",
        "ce-source": "/streams/orders",
        "ce-id": "1767225600000-0",
        "ce-attempt": "2",
        "ce-time": "2026-01-01T00:00:00+00:00",
    }


@pytest.mark.parametrize("entry_id", ["17-0", "18446744073709551615-1"])
def test_an_id_that_is_no_time_is_not_sent_as_one(entry_id: str) -> None:
    assert "ce-time" not in request({"n": b"1"}, entry_id=entry_id).headers


@pytest.mark.parametrize("digits", [18, 20, 400])
def test_what_a_producer_calls_a_time_and_is_none_is_not_sent_as_one(digits: int) -> None:
    assert "ce-time" not in request({"n": b"1"}, {b"sq-enqueued-at": b"9" * digits}).headers


def test_a_trace_goes_as_it_came_or_not_at_all() -> None:
    own = {b"traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    state = b"rojo=50%, congo=t61 rcWkgMzE"

    headers = request({"n": b"1"}, own | {b"tracestate": state}).headers
    assert (headers["traceparent"], headers["tracestate"]) == (own[b"traceparent"].decode(), state.decode())
    for unfit in (b"a=1\r\nx: 1", b"a=\xff", b""):
        assert "tracestate" not in request({"n": b"1"}, own | {b"tracestate": unfit}).headers


def test_no_id_breaks_a_header() -> None:
    headers = request({"n": b"1"}, {b"sq-id": 'a\r\nx: "ü" 5%'.encode()}, stream="{jobs}/eu x").headers

    assert headers["ce-id"] == "a%0D%0Ax:%20%22%C3%BC%22%205%25"
    assert headers["ce-source"] == "/streams/%7Bjobs%7D%2Feu%20x"


def test_one_named_field_is_the_body_as_it_is() -> None:
    made = request({"image": b"\x89PNG\xff", "n": b"1"}, body_field="image", content_type="image/png")

    assert (made.body, made.headers["content-type"]) == (b"\x89PNG\xff", "image/png")
    assert request({"n": b"1"}, content_type="image/png").headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("fields", "target", "says"),
    [
        ({"a": b"ok", "b": b"\xff"}, {}, "field 'b' is no UTF-8 text"),
        ({"a": b"ok"}, {"body_field": "b"}, "there is no field 'b'"),
    ],
)
def test_what_makes_no_body_never_will(fields: dict[str, bytes], target: dict[str, str], says: str) -> None:
    with pytest.raises(Undecodable, match=says):
        request(fields, **target)


def judged(status: int, body: bytes = b"", **headers: str) -> BaseException | None:
    try:
        judge(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)
    except (Retry, DeadLetter) as exc:
        return exc
    return None


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_is_done(status: int) -> None:
    assert judged(status) is None


@pytest.mark.parametrize(("status", "counted"), [(429, False), (503, False), (408, True), (425, True), (500, True)])
def test_a_retry_says_what_it_costs_and_when(status: int, counted: bool) -> None:
    plain, told = judged(status), judged(status, Retry_After="7")

    assert isinstance(plain, Retry) and isinstance(told, Retry)
    assert (plain.counted, told.counted) == (counted, counted)
    assert (plain.after, told.after) == (None, 7.0)


@pytest.mark.parametrize("status", [502, 504, 599])
def test_other_failures_of_the_server_are_attempts(status: int) -> None:
    error = judged(status)

    assert isinstance(error, Retry) and error.counted


@pytest.mark.parametrize("status", [400, 401, 404, 409, 410, 422, 499])
def test_what_the_handler_refuses_is_set_aside_with_its_words(status: int) -> None:
    error = judged(status, b'{"detail":\n  "no such\xffcustomer"}' + b"x" * 5000)

    assert isinstance(error, DeadLetter)
    assert str(error).startswith(f'HTTP {status}: {{"detail": "no such\ufffdcustomer"}}xxx') and len(str(error)) < 400


@pytest.mark.parametrize("status", [101, 300, 301, 304, 307])
def test_redirects_are_not_followed(status: int) -> None:
    error = judged(status, Location="http://elsewhere/")

    assert isinstance(error, Retry) and error.counted and "handler.path" in str(error)


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", "", 0.0),
        (" 30 ", "", 30.0),
        ("999999999999", "", 86_400.0),
        ("Thu, 01 Jan 2026 00:01:00 GMT", "", 60.0),
        # The handler's clock is an hour ahead of ours: its own Date tells what it means.
        ("Thu, 01 Jan 2026 01:01:00 GMT", "Thu, 01 Jan 2026 01:00:00 GMT", 60.0),
        ("Thu, 01 Jan 2025 00:00:00 GMT", TODAY, 0.0),
        ("Thu, 08 Jan 2026 00:00:00 GMT", TODAY, 86_400.0),
        ("Thu, 01 Jan 2026 00:00:00 +9999999999999", TODAY, None),
        ("9" * 400, "", 86_400.0),
        ("soon", "", None),
        ("-5", "", None),
        ("1.5", "", None),
        ("²", "", None),
        ("", "", None),
    ],
)
def test_retry_after(value: str, date: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value} | ({"Date": date} if date else {}), NOW) == seconds


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        ("application/json; charset=utf-8", b'{"words": 3}', {"words": 3}),
        ("Application/JSON ;charset=utf-8", b"[1]", [1]),
        ("application/cloudevents+json", b"[1]", [1]),
        ("application/json", b'\xef\xbb\xbf{"words": 3}', {"words": 3}),  # a mark that .NET may write
        ("text/plain", "drei Wörter".encode(), "drei Wörter"),
        ("", b"x", "x"),
        ("application/json", b"", None),
    ],
)
def test_a_replys_body_is_the_result(kind: str, body: bytes, value: Any) -> None:
    assert result_of(kind, body, is_whole=True) == value


@pytest.mark.parametrize(
    ("kind", "body", "is_whole", "says"),
    [
        ("application/json", b"{oops", True, "is no JSON"),
        ("application/json", b"[" * 100_000, True, "is no JSON"),
        ("text/plain", b"\xff", True, "is no UTF-8 text"),
        ("text/plain", b"x", False, "has more than 1 bytes"),
    ],
)
def test_a_body_that_is_no_result(kind: str, body: bytes, is_whole: bool, says: str) -> None:
    with pytest.raises(Unusable, match=says):
        result_of(kind, body, is_whole)


@pytest.mark.parametrize(
    "url",
    [
        "https://h/",
        "h:8080",
        "http://",
        "http://h:0/",
        "http://h:99999/",
        "http://h:x/",
        "http://[::1",
        "http://a..b/",
        "http://u:p@h/",
    ],
)
def test_a_handlers_address_that_cannot_be_used(url: str) -> None:
    with pytest.raises(SettingsError, match="STREAMQUEUE_HANDLER_URL"):
        Target.from_environment({"STREAMQUEUE_HANDLER_URL": url})


def test_where_the_handler_is_and_what_it_gets() -> None:
    told = {"STREAMQUEUE_BODY_FIELD": "image", "STREAMQUEUE_BODY_CONTENT_TYPE": "image/png"}
    assert Target.from_environment(told) == Target("http://127.0.0.1:8080/", "image", "image/png")
    for environment in ({}, dict.fromkeys(told, "")):
        assert Target.from_environment(environment) == Target("http://127.0.0.1:8080/", None, "application/json")
    assert Target.from_environment({}).address == ("127.0.0.1", 8080)
    assert Target("http://localhost/tasks").address == ("localhost", 80)
