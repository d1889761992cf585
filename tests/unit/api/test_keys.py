from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamqueue.api.keys import Keys, beyond, stream_beyond, tagged


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
    with pytest.raises(ValueError, match="exactly one non-empty hash tag"):
        Keys(stream, "workers")


@given(st.text(alphabet="ab:{}", min_size=1, max_size=12), st.text(alphabet="ab:{}", min_size=1, max_size=6))
def test_all_keys_of_a_queue_share_the_streams_slot(stream: str, group: str) -> None:
    try:
        keys = Keys(stream, group)
    except ValueError:
        return
    assert {_hash_tag(keys.dlq), _hash_tag(keys.epoch)} == {_hash_tag(stream)}


@given(st.text(alphabet="ab{}", min_size=1, max_size=8))
def test_a_stream_on_another_endpoint_is_taken_for_none_on_its_own(stream: str) -> None:
    with pytest.raises(ValueError, match="exactly one non-empty hash tag"):
        tagged(beyond(stream))
    assert stream_beyond(beyond(stream)) == stream
    with suppress(ValueError):
        tagged(stream)
        assert stream_beyond(stream) is None


def test_groups_of_one_stream_keep_apart() -> None:
    assert Keys("orders", "billing").dlq != Keys("orders", "shipping").dlq
