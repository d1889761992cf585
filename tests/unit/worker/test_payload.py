"""What is sent of a dataclass or a model arrives as it was; what does not fit is said."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import pathlib
import uuid
from collections import abc
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, TypedDict

import pydantic
import pytest

from streamqueue import PayloadError, Worker
from streamqueue.worker.batch.handler import BatchHandler
from streamqueue.worker.handler import takes_context
from streamqueue.worker.payload import decoding as payload
from streamqueue.worker.payload.decoding import MAX_NAMES, decoder_for, decoder_of, item_decoder_of, texts
from streamqueue.worker.payload.encoding import encode

if TYPE_CHECKING:
    from streamqueue import Context


class Colour(enum.StrEnum):
    RED = "red"
    ONE = "1"


class Level(enum.IntEnum):
    LOW = 1


Sku = NewType("Sku", str)


@dataclasses.dataclass
class Item:
    sku: str
    amount: int = 1
    is_big: bool = dataclasses.field(init=False, default=False)

    def __post_init__(self) -> None:
        self.is_big = self.amount > 100


class Typed(TypedDict):
    sku: str


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)
    items: dict[str, Item] = dataclasses.field(default_factory=dict)
    pair: tuple[int, str] = (0, "")
    first: Item | None = None
    counts: dict[int, dict[Colour, float]] = dataclasses.field(default_factory=dict)
    seen: dict[uuid.UUID | None, bool] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Positive:
    amount: int

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise ValueError("amount must be above 0")


class Line(pydantic.BaseModel):
    sku: str
    price: decimal.Decimal


class Model(pydantic.BaseModel):
    name: str | None = None
    content: Annotated[bytes, pydantic.Field(max_length=9)] | None = None
    price: decimal.Decimal = decimal.Decimal(0)
    key: uuid.UUID | None = None
    kind: Literal["1", "two"] = "two"
    colour: Colour = Colour.RED
    level: Level = Level.LOW
    amount: int | None = None
    ratio: float = 0.0
    is_new: bool = False
    when: datetime.datetime | None = None
    lines: list[Line] = []
    anything: Any = None


class Shape(enum.Enum):
    ROUND = "round"
    ONE = "1"


@dataclasses.dataclass
class Stamped:
    when: datetime.datetime
    day: datetime.date
    at: datetime.time
    key: uuid.UUID
    price: decimal.Decimal
    shape: Shape
    level: Level
    colour: Colour
    prices: list[decimal.Decimal]
    shapes: set[Shape]
    items: dict[str, Item]


NOON = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
PRICE = decimal.Decimal("1.10")


class Exact(pydantic.BaseModel, strict=True):
    when: datetime.datetime
    key: uuid.UUID
    price: decimal.Decimal
    colour: Colour
    pair: tuple[int, str]
    content: bytes | None = None


class Opaque(pydantic.BaseModel):
    numbers: pydantic.Json[list[int]]
    secret: pydantic.SecretStr
    path: pathlib.Path
    amount: int = pydantic.Field(strict=True)
    raw: bytes = pydantic.Field(b"", max_length=2)


class Strict(pydantic.BaseModel, strict=True):
    name: str
    amount: int
    ratio: float
    is_new: bool
    tags: list[str]


class Computed(pydantic.BaseModel, extra="forbid"):
    amount: int

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.amount


class Open(pydantic.BaseModel, extra="allow"):
    amount: int

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.amount


class Aliased(pydantic.BaseModel):
    sku: str = pydantic.Field(alias="articleNumber")
    note: str = pydantic.Field(validation_alias=pydantic.AliasChoices("note", "remark"))
    line: Aliased | None = None
    page: bytes = pydantic.Field(b"", alias="document")
    scan: bytes = pydantic.Field(b"", validation_alias=pydantic.AliasChoices("scan", "copy"))


@dataclasses.dataclass
class Mixed:
    line: Line
    lines: list[Line]
    aliased: Aliased | None


def wire(payload: Any) -> dict[bytes, bytes]:
    """The fields of an entry, as Redis hands them out."""
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in encode(payload)}


def decoded(shape: Any, value: bytes) -> Any:
    """By a dataclass with one field of this type."""
    kind = dataclasses.make_dataclass("Kind", [("value", shape)])
    return decoder_for(kind)({b"value": value}).value


@pytest.mark.parametrize(
    "sent",
    [
        Model(name="17", content=b"\xff\x00", amount=3, ratio=2.5, is_new=True),
        Model(name="true", content=b"17", kind="1", colour=Colour.ONE, key=uuid.UUID(int=10**31)),
        Model(name='{"a": 1}', price=decimal.Decimal("12345678901234567.10"), anything=[1, {"a": None}]),
        Model(when=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), lines=[Line(sku="0", price=decimal.Decimal(1))]),
        Strict(name="17", amount=1, ratio=2, is_new=False, tags=["1"]),
        Computed(amount=3),
        Open(amount=3, more=[1]),  # type: ignore[call-arg]
        Aliased(articleNumber="17", remark="x", line=Aliased(articleNumber="1", note="y")),
        Item("17", 101),
        Node("17", [Node("1"), Node("null")], {"a": Item("1", 101)}, (1, "2"), Item("3")),
        Node("17", counts={1: {Colour.RED: 0.5}, -2: {}}, seen={None: True}),
        Stamped(
            NOON,
            NOON.date(),
            NOON.time(),
            uuid.UUID(int=7),
            PRICE,
            Shape.ROUND,
            Level.LOW,
            Colour.ONE,
            [PRICE],
            {Shape.ROUND},
            {"a": Item("1")},
        ),
        Mixed(Line(sku="1", price=PRICE), [Line(sku="2", price=PRICE)], Aliased(articleNumber="1", note="x")),
        Exact(when=NOON, key=uuid.UUID(int=10**31), price=PRICE, colour=Colour.ONE, pair=(1, "1")),
    ],
    ids=lambda each: type(each).__name__,
)
def test_what_is_sent_arrives(sent: Any) -> None:
    assert decoder_for(type(sent))(wire(sent)) == sent


@pytest.mark.parametrize(
    ("kind", "value", "got"),
    [
        (str | None, b"17", "17"),
        (str | None, b"null", None),
        (str | None, b"{}", "{}"),
        (int | None, b"17", 17),
        (str | int, b"17", 17),
        (str | list[str], b'["a"]', ["a"]),
        (bytes | None, b"\xff", b"\xff"),
        (bytes | None, b"17", b"17"),
        (bytes | None, b"null", None),
        (Sku, b"17", "17"),
        (Annotated[str, "any"] | None, b"17", "17"),
        (Literal["1", "x"], b"1", "1"),
        (Literal["x", 2], b"2", 2),
        (Colour, b"1", Colour.ONE),
        (Level | None, b"1", Level.LOW),
        (Shape | None, b"1", Shape.ONE),
        (float, b"3", 3.0),
        (decimal.Decimal, b"1.10", decimal.Decimal("1.10")),
        (datetime.date, b"2026-01-02", datetime.date(2026, 1, 2)),
        (set[int], b"[1, 1]", {1}),
        (frozenset[int], b"[1, 1]", frozenset({1})),
        (abc.Set[int], b"[1, 1]", {1}),
        (abc.Sequence[Item], b'[{"sku": "1"}]', [Item("1")]),
        (abc.Mapping[str, Item], b'{"a": {"sku": "1"}}', {"a": Item("1")}),
        (abc.MutableMapping[str, Item], b'{"a": {"sku": "1"}}', {"a": Item("1")}),
        (tuple[int, ...], b"[1, 2, 3]", (1, 2, 3)),
        (tuple, b'[1, "2"]', (1, "2")),
        (Typed, b'{"sku": "1"}', {"sku": "1"}),
        (dict[int | None, str], b'{"1": "1", "null": "x"}', {1: "1", None: "x"}),
        (dict[str, int], b'{"1": 1}', {"1": 1}),
        (dict[datetime.date, Any], b'{"2026-01-02": [1]}', {datetime.date(2026, 1, 2): [1]}),
        (dict[str, list[Item]], b'{"a": [{"sku": "1"}]}', {"a": [Item("1")]}),
        (Any, b"17", 17),
        (Any, b"x", "x"),
        (list, b'[{"a": 1}]', [{"a": 1}]),
    ],
)
def test_a_field_is_what_its_annotation_says(kind: Any, value: bytes, got: Any) -> None:
    found = decoded(kind, value)
    assert found == got and type(found) is type(got)


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (int, b"many", "which is no int"),
        (int, b"true", "which is no int"),
        (int | None, b"many", "which is no int | None"),
        (bool, b"1", "which is no bool"),
        (str, b"\xff", "no UTF-8 text"),
        (str | None, b"\xff", "no UTF-8 text"),
        (list[int], b'["a"]', "which is no list"),
        (list[int], b"7", "which is no list"),
        (Typed, b'["sku"]', "which is no Typed"),
        (tuple[int, str], b"[1]", "which is no tuple"),
        (dict[str, Item], b'{"a": {"amount": 1}}', "which is no dict"),
        (dict[int, str], b'{"x": "a"}', "which is no dict"),
        (dict[int, str], b'{"\\ud800": "a"}', "is no UTF-8 text"),
        (Item, b'{"sku": 1}', "which is no Item"),
        (Positive, b'{"amount": 0}', "which is no Positive"),
        (Colour, b"blue", "which is no Colour"),
        (Literal["a"], b"b", "which is no"),
        (decimal.Decimal, b"x", "which is no Decimal"),
        (uuid.UUID, b"1", "which is no UUID"),
        (Line, b'{"sku": "1"}', "which is no Line"),
        (list[Any], b"[" * 100_000, "which is no list"),
    ],
)
def test_what_does_not_fit_is_said(kind: Any, value: bytes, says: str) -> None:
    with pytest.raises(PayloadError, match="value.*" + says.replace("|", r"\|")):
        decoded(kind, value)


@pytest.mark.parametrize(
    ("shape", "value", "got"),
    [
        (dict[str, int], b"17", 17),
        (dict[str, str | None], b"null", None),
        (dict[str, str | bytes], b"\xff", b"\xff"),
        (dict[str, list[Item]], b'[{"sku": "1"}]', [Item("1")]),
        (dict[str, Any], b"17", "17"),
        (dict[str, object], b"17", "17"),
        (dict, b"17", "17"),
    ],
)
def test_the_values_of_a_dict_are_what_its_annotation_says(shape: Any, value: bytes, got: Any) -> None:
    assert decoder_for(shape)({b"a": value, b"sq-id": b"x"}) == {"a": got}


def test_a_value_of_a_dict_that_does_not_fit_is_said() -> None:
    with pytest.raises(PayloadError, match="field 'a' is 'many', which is no int"):
        decoder_for(dict[str, int])({b"a": b"many"})


def test_a_model_gets_the_text_where_what_it_says_in_json_does_not_fit() -> None:
    fields = {b"numbers": b"[1, 2]", b"secret": b"17", b"path": b"2026", b"amount": b"3"}
    for raw in (b"", b"\xff"):
        found = decoder_for(Opaque)(fields | {b"raw": raw})
        assert (found.numbers, found.secret.get_secret_value(), found.path) == ([1, 2], "17", pathlib.Path("2026"))
    for name, value, says in ((b"amount", b"[]", "a valid integer"), (b"raw", b"\xff" * 3, "at most 2 bytes")):
        with pytest.raises(PayloadError, match=f"{name.decode()}: .*{says}"):
            decoder_for(Opaque)(fields | {name: value})


def test_what_a_model_calls_by_another_name_is_what_its_annotation_says() -> None:
    fields = {b"articleNumber": b"1", b"remark": b"2", b"document": b"\xff", b"copy": b"\xfe"}
    assert decoder_for(Aliased)(fields) == Aliased(articleNumber="1", remark="2", document=b"\xff", copy=b"\xfe")


def test_fields_that_nobody_asks_for_are_left_out() -> None:
    """As those of a producer that is newer than the handler."""
    fields = {b"sku": b"1", b"price": b"1.10", b"later": b"x"}
    assert decoder_for(Item)(fields | {b"later": b"\xff"}) == Item("1")
    assert decoder_for(Line)(fields) == Line(sku="1", price=PRICE)


@pytest.mark.parametrize("shape", [dict, dict[str, bytes], dict[str, int], bytes, Item, Line], ids=str)
def test_a_name_that_is_no_text_is_told_from_a_value(shape: Any) -> None:
    with pytest.raises(PayloadError, match=r"a name that is no UTF-8 text.*b'\\xff'"):
        decoder_for(shape)({b"\xff": b"1"})


def test_a_models_field_that_is_no_text_is_named() -> None:
    with pytest.raises(PayloadError, match="field 'sku' is no UTF-8 text"):
        decoder_for(Line)({b"sku": b"\xff", b"price": b"1"})


def test_names_that_do_not_come_again_are_forgotten() -> None:
    for n in range(2 * MAX_NAMES):
        texts({b"name-%d" % n: b"x"})
    assert len(payload._NAMES) <= MAX_NAMES


def test_what_a_dataclass_refuses_never_fits() -> None:
    with pytest.raises(PayloadError, match="Positive: amount must be above 0"):
        decoder_for(Positive)({b"amount": b"0"})


def test_a_type_that_is_imported_for_type_checkers_alone_is_no_obstacle() -> None:
    def handle(task: Item, ctx: Context) -> None: ...

    assert decoder_of(handle)({b"sku": b"1"}) == Item("1")


def test_anything_is_a_dict() -> None:
    def handle(task: Any, ctx: Any) -> None: ...

    def batch(tasks: Any) -> None: ...

    def listed(tasks: list[Any]) -> None: ...

    decoders = decoder_of(handle), item_decoder_of(batch), item_decoder_of(listed)
    assert [decode({b"a": b"1"}) for decode in decoders] == 3 * [{"a": "1"}]


@pytest.mark.parametrize("sent", [Model(anything=[b"\xff"]), pydantic.RootModel[list[int]]([1])])
def test_a_model_that_cannot_be_sent_is_named(sent: Any) -> None:
    with pytest.raises(PayloadError, match=r"Model.* cannot be sent"):
        encode(sent)


def test_a_generator_is_refused_where_it_is_written() -> None:
    def plain(task: dict[str, str]) -> Any:
        yield task

    async def in_loop(task: dict[str, str]) -> Any:
        yield task

    for each in (plain, in_loop):
        for register in (Worker().task, Worker().batch):
            with pytest.raises(TypeError, match="yields"):
                register(each)


async def test_a_generator_behind_a_decorator_is_a_failure() -> None:
    """Not a task that is done: nothing has run."""

    def plain(task: Any) -> Any:
        yield task

    async def in_loop(task: Any) -> Any:
        yield task

    for each in (plain, in_loop):
        with pytest.raises(TypeError, match="a generator, of which nothing has run"):
            await BatchHandler(lambda tasks, each=each: each(tasks), 1.0)([], [])


def test_a_handler_that_no_call_fits_is_refused_where_it_is_written() -> None:
    def more(task: Any, ctx: Any, db: Any) -> None: ...

    def named(task: Any, *, ctx: Any) -> None: ...

    for each in (more, named):
        with pytest.raises(TypeError, match=each.__name__ + r"\(\) is called with"):
            Worker().task(each)


def test_a_handler_has_a_context_where_there_is_a_place_for_it() -> None:
    def plain(task: Any) -> None: ...

    def both(task: Any, ctx: Any) -> None: ...

    def usual(task: Any, db: Any = None) -> None: ...

    def options(task: Any, **options: Any) -> None: ...

    def anything(*args: Any, **options: Any) -> None: ...

    assert [each for each in (plain, both, usual, options, anything) if takes_context(each)] == [both, anything]


TRACE = {b"traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"tracestate": b"a=1"}


class Sealed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    sku: str


class Traced(Sealed):
    traceparent: str


def test_a_trace_beside_the_payload_is_no_part_of_it() -> None:
    """As plain producers write it."""
    assert decoder_for(bytes)({b"page": b"\xff"} | TRACE) == b"\xff"
    assert decoder_for(Sealed)({b"sku": b"1"} | TRACE) == Sealed(sku="1")


def test_a_trace_that_is_asked_for_is_there() -> None:
    parent, only = TRACE[b"traceparent"], {b"traceparent": TRACE[b"traceparent"]}
    assert decoder_for(bytes)(only) == parent
    assert decoder_for(Traced)({b"sku": b"1"} | only).traceparent == parent.decode()


@pytest.mark.parametrize("fields", [{b"a": b"1", b"b": b"2"}, TRACE, {}], ids=["two", "a trace", "none"])
def test_bytes_are_of_one_field(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(PayloadError, match="one field"):
        decoder_for(bytes)(fields)
