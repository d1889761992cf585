"""`handler`: what runs in a worker pod, and how tasks reach it."""

from __future__ import annotations

import re

from streamqueue.api.block import Block
from streamqueue.api.spec import Body, Handler, Protocol

_PATH = re.compile(r"/[!$-~]*")
_CONTENT_TYPE = re.compile(r"[!-~][ -~]*")

_HANDLER = Handler(image="")
_BODY = Body(field="")


def parse_handler(spec: Block) -> Handler:
    """Raises SpecError."""
    if not spec.has("handler"):
        raise spec.error("handler", "is required: set handler.image")
    http = ("port", "path", "body")
    block = spec.block(
        "handler", "image", "protocol", "concurrency", "batch", "timeout", "processes", "metricsPort", *http
    )
    handler = Handler(
        image=block.required_text("image", 1024),
        protocol=Protocol(block.choice("protocol", tuple(Protocol), _HANDLER.protocol)),
        concurrency=block.integer("concurrency", 1, 1000, _HANDLER.concurrency),
        batch=block.integer("batch", 1, 10_000, _HANDLER.batch),
        timeout=block.duration("timeout", "100ms", "24h", _HANDLER.timeout),
        port=block.integer("port", 1, 65_535, _HANDLER.port),
        path=_path(block),
        body=_body(block),
        processes=block.integer("processes", 1, 256, _HANDLER.processes),
        metrics_port=block.integer("metricsPort", 1024, 65_535, None),
    )
    if handler.protocol is Protocol.HTTP and handler.batch != 1:
        raise block.error("batch", "is for loops that read Redis themselves: leave it out, set handler.concurrency")
    if block.has("processes") and handler.protocol is not Protocol.SDK:
        raise block.error("processes", "needs handler.protocol: sdk, whose worker forks them")
    if handler.processes > handler.concurrency:
        raise block.error("processes", f"is above handler.concurrency, {handler.concurrency}: raise that")
    if handler.metrics_port and handler.protocol is Protocol.REDIS:
        raise block.error("metricsPort", "needs handler.protocol sdk or http: a plain loop's metrics are its own")
    if handler.metrics_port == handler.port and handler.protocol is Protocol.HTTP:
        raise block.error("metricsPort", f"must be another than handler.port, {handler.port}")
    for name in http:
        if handler.protocol is not Protocol.HTTP and block.has(name):
            raise block.error(name, "needs handler.protocol: http")
    return handler


def _path(handler: Block) -> str:
    path = handler.text("path", 1024, _HANDLER.path)
    if not _PATH.fullmatch(path):
        raise handler.error("path", "must begin with / and hold neither spaces nor #, as in /tasks")
    return path


def _body(handler: Block) -> Body | None:
    if not handler.has("body"):
        return None
    block = handler.block("body", "field", "contentType")
    content_type = block.text("contentType", 256, _BODY.content_type)
    if not _CONTENT_TYPE.fullmatch(content_type):
        raise block.error("contentType", "must be printable ASCII, as in image/png")
    return Body(block.required_text("field", 256), content_type)
