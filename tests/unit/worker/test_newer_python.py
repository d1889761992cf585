"""Handlers in the words of later Pythons than the oldest one, which could not read them in this file."""

from __future__ import annotations

import sys
import textwrap
from typing import Any

import pytest

from streamqueue import Worker
from streamqueue.worker.handler import takes_context
from streamqueue.worker.payload.decoding import decoder_of, item_decoder_of


def written(text: str) -> dict[str, Any]:
    """What `text` defines, where annotations are no strings as they are here."""
    names: dict[str, Any] = {"__name__": __name__}
    text = "from dataclasses import dataclass\n" + textwrap.dedent(text)
    exec(compile(text, "handlers", "exec", dont_inherit=True), names)
    return names


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are looked up late from Python 3.14 on")
def test_types_for_checkers_alone_are_never_looked_up() -> None:
    names = written(
        """
        TYPE_CHECKING = False
        if TYPE_CHECKING:
            from streamqueue import Context
        def handle(task: Later, ctx: Context) -> Nowhere: ...
        def embed(tasks: list[Later], contexts: list[Context]) -> None: ...
        @dataclass
        class Later:
            amount: int
        """
    )
    handle, embed, later = names["handle"], names["embed"], names["Later"]
    assert Worker().task(handle) is handle and Worker().batch(embed) is embed
    assert takes_context(handle)
    assert decoder_of(handle)({b"amount": b"17"}) == item_decoder_of(embed)({b"amount": b"17"}) == later(17)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement `type` came with Python 3.12")
def test_a_name_for_a_type_is_that_type() -> None:
    names = written(
        """
        @dataclass
        class Line:
            sku: str
        type Counts = dict[str, int]
        type Lines = list[Line]
        type Many[T] = list[T]
        type Swapped[V, K] = dict[K, V]
        @dataclass
        class Order:
            lines: Many[Line]
            by_sku: Swapped[Line, str]
            rest: Many[Line] | None = None
        type Orders = Many[Order]
        def counts(task: Counts): ...
        def lines(tasks: Lines): ...
        def many(tasks: Many[Line]): ...
        def orders(tasks: Orders): ...
        def generic[T](task: dict[str, T]): ...
        """
    )
    line, order = names["Line"], names["Order"]
    assert decoder_of(names["counts"])({b"a": b"17"}) == {"a": 17}
    assert item_decoder_of(names["lines"])({b"sku": b"17"}) == line("17")
    assert item_decoder_of(names["many"])({b"sku": b"17"}) == line("17")
    fields = {b"lines": b'[{"sku": "1"}]', b"by_sku": b'{"2": {"sku": "2"}}', b"rest": b'[{"sku": "3"}]'}
    assert item_decoder_of(names["orders"])(fields) == order([line("1")], {"2": line("2")}, [line("3")])
    assert decoder_of(names["generic"])({b"a": b"[1]"}) == {"a": [1]}
