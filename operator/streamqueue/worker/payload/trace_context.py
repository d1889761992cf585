"""The W3C trace context, as the fields of an entry carry it."""

from __future__ import annotations

from collections.abc import Mapping

Fields = list[tuple[str, str]]

NAMES = ("traceparent", "tracestate")


def context_of(fields: Mapping[bytes, bytes]) -> Fields:
    """The trace context of an entry: ours, or that of a producer that writes the plain names."""
    if b"sq-traceparent" in fields:
        prefix = b"sq-"
    elif b"traceparent" in fields:
        prefix = b""
    else:
        return []
    found = ((name, fields.get(prefix + name.encode())) for name in NAMES)
    return [(f"sq-{name}", value.decode("utf-8", "replace")) for name, value in found if value]
