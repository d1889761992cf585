from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamqueue.api.keys import Keys, StreamKeys, shown, stream_on_next_redis, tagged, target_on_next_redis


def _hash_tag(key: str) -> str:
    """What Redis Cluster hashes: the text between the first brace and the next closing one, else the whole key."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


@pytest.mark.parametrize(
    ("stream", "dlq"),
    [
        ("orders", "{orders}:g:workers:dlq"),
        ("ai:inference:queue", "{ai:inference:queue}:g:workers:dlq"),
        ("a{b}c", "a{b}c:g:workers:dlq"),
    ],
)
def test_a_stream_is_tagged_whole_or_keeps_its_tag(stream: str, dlq: str) -> None:
    assert Keys(stream, "workers").dlq == dlq


def test_a_name_is_not_empty() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        Keys("", "workers")


@pytest.mark.parametrize("stream", ["{", "}", "{}", "a{}b", "{a}{b}", "{{a}}", "}a{", "{a", "a}"])
def test_other_braces_are_refused_with_a_sentence(stream: str) -> None:
    for refused in (lambda: Keys(stream, "workers"), lambda: StreamKeys(stream)):
        with pytest.raises(ValueError, match="exactly one non-empty hash tag"):
            refused()


def names(stream: str, group: str) -> list[str]:
    """Of all keys."""
    keys, shared = Keys(stream, group), StreamKeys(stream)
    other = Keys("before", "them")
    return [
        *(keys.dlq, keys.epoch, keys.lease, keys.due, keys.attempts, keys.returns, keys.done, keys.cordon),
        *(keys.outboxes, keys.outbox("next"), keys.server, keys.results + "id"),
        *(shared.delayed, shared.payloads, shared.sent("id"), shared.seen(other), shared.seen(other, "there")),
    ]


def test_another_version_finds_what_this_one_wrote() -> None:
    group = ("dlq", "epoch", "lease", "due", "attempts", "returns", "done", "cordon", "outboxes", "outbox:next")
    assert names("orders", "workers") == [
        *(f"{{orders}}:g:workers:{name}" for name in (*group, "server", "result:id")),
        "{orders}:delayed",
        "{orders}:delayed:payload",
        "{orders}:sent:id",
        "{orders}:seen:{before}:g:them",
        "{orders}:seen:there:{before}:g:them",
    ]


@given(st.text(alphabet="ab:{}", min_size=1, max_size=12), st.text(alphabet="ab:{}", min_size=1, max_size=6))
def test_all_keys_of_a_queue_share_the_streams_slot(stream: str, group: str) -> None:
    try:
        Keys(stream, group)
    except ValueError:
        return
    assert {_hash_tag(name) for name in names(stream, group)} == {_hash_tag(stream)}


@given(st.text(alphabet="ab{}", min_size=1, max_size=8))
def test_a_stream_on_another_endpoint_is_taken_for_none_on_its_own(stream: str) -> None:
    with pytest.raises(ValueError, match="exactly one non-empty hash tag"):
        tagged(target_on_next_redis(stream))
    assert stream_on_next_redis(target_on_next_redis(stream)) == stream
    with suppress(ValueError):
        tagged(stream)
        assert stream_on_next_redis(stream) is None


def test_a_target_in_words() -> None:
    assert (shown("paid"), shown(target_on_next_redis("paid"))) == ("paid", "paid of next.redis")


def test_groups_of_one_stream_keep_apart() -> None:
    assert Keys("orders", "billing").dlq != Keys("orders", "shipping").dlq
