"""What went wrong with Redis, typed, in words that hold no secret.

Texts of servers and of client libraries may quote what was sent (a renamed AUTH, a URL with a password), so none is
passed on: each kind has its own sentence, and only command names and errno names are taken from the original.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from collections.abc import Awaitable, Collection
from enum import StrEnum
from typing import Any, TypeVar

from redis import exceptions as r
from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError

T = TypeVar("T")


class ProblemKind(StrEnum):
    """Reasons for "unknown". Values serve as condition reasons."""

    UNREACHABLE = "Unreachable"
    TIMEOUT = "Timeout"
    BAD_URL = "BadURL"
    NO_ENDPOINT = "NoEndpoint"
    AUTH = "AuthenticationFailed"
    TLS = "TLSFailed"
    NO_PERMISSION = "NoPermission"
    WRONG_TYPE = "WrongType"
    NO_STREAM = "NoStream"
    NO_GROUP = "NoGroup"
    LOADING = "Loading"
    READ_ONLY = "ReadOnly"
    OUT_OF_MEMORY = "OutOfMemory"
    MISCONF = "PersistenceFailed"
    NO_REPLICAS = "TooFewReplicas"
    BUSY = "Busy"
    MAX_CLIENTS = "MaxClients"
    CLUSTER = "Cluster"
    UNSUPPORTED = "Unsupported"
    OTHER = "RedisError"


_SENTENCES = {
    ProblemKind.UNREACHABLE: "Redis cannot be reached; check host and port of the URL and the network policy",
    ProblemKind.TIMEOUT: "Redis did not answer in time; check its load, the network, and that the port speaks TLS "
    "where the URL says rediss://",
    ProblemKind.BAD_URL: "the Redis URL cannot be read; write redis://host:port/0 or "
    "rediss://user:password@host:port/0, with special characters of the password percent-encoded",
    ProblemKind.NO_ENDPOINT: "the queue's spec has no next.redis, where these results were to go; put it back",
    ProblemKind.AUTH: "Redis refused the user name or password; check the URL in the Secret",
    ProblemKind.TLS: "the TLS handshake with Redis failed; check the scheme (rediss://), the port and the CA",
    ProblemKind.NO_PERMISSION: "the Redis user may not do this; extend its ACL",
    ProblemKind.WRONG_TYPE: "the key holds another type than a stream; choose another stream name or remove the key",
    ProblemKind.NO_STREAM: "the stream does not exist; add a task, or have the operator make it",
    ProblemKind.NO_GROUP: "the consumer group does not exist; have the operator make it, or XGROUP CREATE",
    ProblemKind.LOADING: "Redis is loading its data set; wait",
    ProblemKind.READ_ONLY: "this Redis is a read-only replica; the URL must lead to the primary",
    ProblemKind.OUT_OF_MEMORY: "Redis is at maxmemory and refuses writes; give it memory or trim",
    ProblemKind.MISCONF: "Redis cannot save to disk and refuses writes (MISCONF); mend its disk",
    ProblemKind.NO_REPLICAS: "Redis has fewer good replicas than min-replicas-to-write and refuses writes; mend them",
    ProblemKind.BUSY: "Redis is busy with another client's script; wait, or SCRIPT KILL",
    ProblemKind.MAX_CLIENTS: "Redis has reached maxclients; raise it or close connections",
    ProblemKind.CLUSTER: "the key is on another node of a Redis Cluster or its slot is moving or down; wait, "
    "and set redis.mode to cluster if it is standalone",
    ProblemKind.UNSUPPORTED: "this server lacks or blocks a command that is needed; allow it",
    ProblemKind.OTHER: "Redis answered with an error; see its log",
}

ABSENT = frozenset({ProblemKind.NO_STREAM, ProblemKind.NO_GROUP})

# The first that occurs in the text wins. Inside scripts Redis 6 wraps the code in a longer sentence. Words of their own
# alone: texts quote names of users and keys, and TASKS is no ASK.
_CODES = [
    ("WRONGTYPE", ProblemKind.WRONG_TYPE),
    ("NOGROUP", ProblemKind.NO_GROUP),
    ("no such key", ProblemKind.NO_STREAM),
    ("NOPERM", ProblemKind.NO_PERMISSION),
    ("can't run this command or subcommand", ProblemKind.NO_PERMISSION),
    ("executing the script can't", ProblemKind.NO_PERMISSION),
    ("ACL failure", ProblemKind.NO_PERMISSION),
    ("NOAUTH", ProblemKind.AUTH),
    ("WRONGPASS", ProblemKind.AUTH),
    ("invalid password", ProblemKind.AUTH),
    ("auth:AuthenticationError", ProblemKind.AUTH),  # of a sentinel: redis-py sums up what each of them said
    ("without any password configured", ProblemKind.AUTH),
    ("READONLY", ProblemKind.READ_ONLY),
    ("read only replica", ProblemKind.READ_ONLY),
    ("OOM", ProblemKind.OUT_OF_MEMORY),
    ("MISCONF", ProblemKind.MISCONF),
    ("NOREPLICAS", ProblemKind.NO_REPLICAS),
    ("LOADING", ProblemKind.LOADING),
    ("MASTERDOWN", ProblemKind.UNREACHABLE),
    ("max number of clients", ProblemKind.MAX_CLIENTS),
    ("BUSY", ProblemKind.BUSY),
    ("MOVED", ProblemKind.CLUSTER),
    ("ASK", ProblemKind.CLUSTER),
    ("CLUSTERDOWN", ProblemKind.CLUSTER),
    ("non local key", ProblemKind.CLUSTER),  # which a script asked for, of a slot that moves
    ("CROSSSLOT", ProblemKind.CLUSTER),
    ("TRYAGAIN", ProblemKind.CLUSTER),
    ("[Uu]nknown command", ProblemKind.UNSUPPORTED),
    ("[Uu]nknown Redis command", ProblemKind.UNSUPPORTED),
    ("[Uu]nknown subcommand", ProblemKind.UNSUPPORTED),
]

# redis-py strips the code from the text and tells it by class.
_CLASSES: list[tuple[type[BaseException], ProblemKind]] = [
    (r.NoPermissionError, ProblemKind.NO_PERMISSION),
    (r.AuthenticationError, ProblemKind.AUTH),
    (r.AuthorizationError, ProblemKind.AUTH),
    (r.AuthenticationWrongNumberOfArgsError, ProblemKind.AUTH),
    (r.BusyLoadingError, ProblemKind.LOADING),
    (r.ReadOnlyError, ProblemKind.READ_ONLY),
    (r.OutOfMemoryError, ProblemKind.OUT_OF_MEMORY),
    (r.MasterDownError, ProblemKind.UNREACHABLE),
    (r.ClusterError, ProblemKind.CLUSTER),
    (r.AskError, ProblemKind.CLUSTER),
    (r.TryAgainError, ProblemKind.CLUSTER),
    (r.ClusterCrossSlotError, ProblemKind.CLUSTER),
    (r.RedisClusterException, ProblemKind.CLUSTER),
    (r.MaxConnectionsError, ProblemKind.OTHER),
    (r.TimeoutError, ProblemKind.TIMEOUT),
    (TimeoutError, ProblemKind.TIMEOUT),
    (asyncio.IncompleteReadError, ProblemKind.UNREACHABLE),
    (ssl.SSLError, ProblemKind.TLS),
    (socket.gaierror, ProblemKind.UNREACHABLE),
    (UnicodeError, ProblemKind.UNREACHABLE),  # of a host name: a label without letters, or too many of them
    (r.ConnectionError, ProblemKind.UNREACHABLE),
    (OSError, ProblemKind.UNREACHABLE),
]

# OpenSSL's X509_V_ERR_* numbers.
_CERTIFICATE = {
    10: "the certificate has expired",
    18: "the certificate is self-signed: its CA is not trusted",
    19: "the certificate's CA is not trusted",
    20: "the certificate's CA is not trusted",
    62: "the certificate is for another host name than the URL's",
    64: "the certificate is not for this IP address: use the host name it was made for",
    **dict.fromkeys(
        range(85, 94), "Python wants key usage and key identifiers in a CA and its certificates from 3.13 on: add them"
    ),
}

# What each sentinel's failure was, the client doesn't tell.
_NO_PRIMARY = (
    "no sentinel that can be reached knows a primary by the URL's name; with rediss+sentinel:// check the CA as well"
)

_UNKNOWN = re.compile(r"nknown (?:Redis )?command ['`]([A-Za-z|_]{1,40})['`]")
_COMMAND = re.compile(r"(?:run|call|access) the '([a-z|_]{1,40})' command")


class RedisProblem(Exception):
    """A Redis error as a kind and a sentence for people. `message` never holds a secret.

    Raised by the functions of this package, without cause or context, since those could quote a secret.
    """

    def __init__(self, kind: ProblemKind, message: str = "") -> None:
        self.kind = kind
        self.message = message or _SENTENCES[kind]
        super().__init__(self.message)


def classify(exc: BaseException) -> RedisProblem:
    """The problem behind an exception of redis-py, asyncio or the operating system."""
    if isinstance(exc, RedisProblem):
        return exc
    if isinstance(exc.__cause__, RedisProblem):  # found on the way to a connection, which redis-py wraps
        return exc.__cause__
    kind = _kind(exc)
    detail = _detail(kind, exc)
    return RedisProblem(kind, f"{_SENTENCES[kind]} ({detail})" if detail else "")


async def typed(call: Awaitable[T]) -> T:
    """The result of `call`; every Redis error leaves as a RedisProblem without cause or context."""
    try:
        return await call
    except (r.RedisError, r.RedisClusterException, OSError, asyncio.IncompleteReadError) as exc:
        problem = classify(exc)
    # Outside the handler, so that the original is no __context__.
    raise problem


async def or_none(call: Awaitable[T], kinds: Collection[ProblemKind]) -> T | None:
    """The result of `call`; None where it raises a RedisProblem of one of these kinds, others are raised."""
    try:
        return await call
    except RedisProblem as problem:
        if problem.kind not in kinds:
            raise
        return None


async def execute(client: Redis, *command: Any) -> Any:
    """One command and its raw reply. Raises RedisProblem."""
    return await typed(client.execute_command(*command))  # type: ignore[no-untyped-call]


def _kind(exc: BaseException) -> ProblemKind:
    chain = list(_chain(exc))
    if any(isinstance(link, ssl.SSLError) for link in chain):
        return ProblemKind.TLS
    for link in chain:
        text = str(link) if isinstance(link, (r.ResponseError, r.ConnectionError)) else ""
        for code, kind in _CODES:
            if re.search(rf"\b{code}\b", text):
                return kind
        for cls, kind in _CLASSES:
            # A bare ConnectionError says least: what caused it may say more.
            if isinstance(link, cls) and (cls is not r.ConnectionError or link is chain[-1]):
                return kind
    return ProblemKind.OTHER


def _detail(kind: ProblemKind, exc: BaseException) -> str:
    if kind is ProblemKind.NO_PERMISSION and (found := _COMMAND.search(str(exc))):
        return f"command {found[1]}"
    if kind is ProblemKind.UNSUPPORTED and (found := _UNKNOWN.search(str(exc))):
        return found[1].upper()
    if kind is ProblemKind.OTHER and "DB index" in str(exc):
        return "it has no database of the URL's number"
    for link in _chain(exc):
        if isinstance(link, ssl.SSLCertVerificationError):
            return _CERTIFICATE.get(link.verify_code, "the certificate was not accepted")
        if isinstance(link, MasterNotFoundError):
            return _NO_PRIMARY
        if isinstance(link, (socket.gaierror, UnicodeError)):
            return "the host name has no address"
        if isinstance(link, OSError) and link.errno is not None and link.errno in errno.errorcode:
            return errno.errorcode[link.errno]
    return ""


def _chain(exc: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    link: BaseException | None = exc
    while link is not None and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links
