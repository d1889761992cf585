"""What a worker must know, from the `STREAMQUEUE_*` variables of its pod."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from redis.asyncio import Redis

from streamqueue.api.keys import Keys
from streamqueue.api.spec import START_FROM, RedisAuth, RedisMode
from streamqueue.maintenance.relay import NO_NEXT_REDIS, NextRedis
from streamqueue.streams.connection import UrlFile, connect, credentials_for
from streamqueue.streams.errors import RedisProblem
from streamqueue.streams.tasks import Limits
from streamqueue.worker.errors import SettingsError

_NUMBERS = {"int": "a whole number", "float": "a number"}
_MAY_BE_ZERO = ("results_ttl", "grace", "metrics_port")  # which means: none, or the default
_URL, _NEXT_URL = "STREAMQUEUE_REDIS_URL", "STREAMQUEUE_NEXT_REDIS_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field is the variable `STREAMQUEUE_<NAME>`. Times are seconds."""

    redis_url: str = field(default="", repr=False)  # may hold a password
    redis_url_file: str = ""  # that holds the URL, read at each connecting; it goes before `redis_url`
    redis_mode: str = RedisMode.AUTO
    redis_ca_file: str = ""  # of the CA to trust, PEM
    redis_auth: str = RedisAuth.PASSWORD
    stream: str
    group: str = "workers"
    consumer: str = ""  # the pod's name; default: the host's
    concurrency: int = 1  # tasks at once, over all processes
    processes: int = 1  # forked, each with its share of `concurrency`
    timeout: float = 120.0  # for one task
    visibility_timeout: float = 300.0  # how long a lease lasts without a heartbeat
    max_deliveries: int = 5
    dead_letter_max_length: int = 10_000
    backoff_initial: float = 1.0
    backoff_max: float = 300.0
    results_ttl: float = 0.0  # how long states and results are kept; 0: they are not
    grace: float = 0.0  # for tasks under way after SIGTERM; 0: the timeout and 10 s
    next_stream: str = ""  # where what the handler returns becomes a task
    next_redis_url: str = field(default="", repr=False)  # of the endpoint of that stream, where it is another one
    next_redis_url_file: str = ""
    next_redis_mode: str = RedisMode.AUTO
    next_redis_ca_file: str = ""
    next_redis_auth: str = RedisAuth.PASSWORD
    metrics_port: int = 0  # 0: metrics are not served
    start_from: str = "0"  # where the group begins, if it has to be created

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
        """Raises SettingsError naming the variable. `overrides` win over the environment."""
        unknown = set(overrides) - {known.name for known in fields(cls)}
        if unknown:
            raise SettingsError(f"Worker({', '.join(sorted(unknown))}=…): no such setting")
        values = dict(overrides)
        # A URL that is given in code is not for a file of the environment to replace.
        settled = {f"{name}_file" for name in ("redis_url", "next_redis_url") if name in overrides} | set(overrides)
        for known in fields(cls):
            text = environment.get(f"STREAMQUEUE_{known.name.upper()}")
            if text is not None and known.name not in settled:
                values[known.name] = _parse(known.name, str(known.type), text)
        if not (values.get("redis_url") or values.get("redis_url_file")):
            raise SettingsError(f"neither {_URL}_FILE nor {_URL} is set; the operator sets one in a worker's pod")
        if not values.get("stream"):
            raise SettingsError("STREAMQUEUE_STREAM is not set; the operator sets it in a worker's pod")
        values["consumer"] = values.get("consumer") or socket.gethostname()
        return cls(**values)

    def __post_init__(self) -> None:
        for each in fields(self):
            value, variable = getattr(self, each.name), f"STREAMQUEUE_{each.name.upper()}"
            if each.type not in _NUMBERS:
                continue
            if not isinstance(value, (int, float)) or not math.isfinite(value):
                raise SettingsError(f"{variable} must be {_NUMBERS[str(each.type)]}, not {value!r}")
            if value < 0 or (value == 0 and each.name not in _MAY_BE_ZERO):
                raise SettingsError(
                    f"{variable} must be {'0 or more' if each.name in _MAY_BE_ZERO else 'greater than 0'}"
                )
        if self.metrics_port > 65_535:
            raise SettingsError("STREAMQUEUE_METRICS_PORT must be a port, 65535 at most")
        if not self.group:
            raise SettingsError("STREAMQUEUE_GROUP must not be empty")
        if not START_FROM.fullmatch(self.start_from):
            raise SettingsError(
                "STREAMQUEUE_START_FROM must be 0 (all there is), $ (what comes from now on) or an entry's id"
            )
        if self.processes > self.concurrency:
            raise SettingsError("STREAMQUEUE_PROCESSES must not be above STREAMQUEUE_CONCURRENCY: raise that")
        for name, kinds in (("redis_mode", RedisMode), ("redis_auth", RedisAuth)):
            for prefix in ("", "next_"):
                if getattr(self, prefix + name) not in tuple(kinds):
                    raise SettingsError(f"STREAMQUEUE_{prefix.upper()}{name.upper()} must be {' or '.join(kinds)}")
        if self.has_next_redis and not self.next_stream:
            raise SettingsError(f"{_NEXT_URL} needs STREAMQUEUE_NEXT_STREAM: which stream results go to")
        for name, stream in (("STREAM", self.stream), ("NEXT_STREAM", self.next_stream or self.stream)):
            try:
                Keys(stream, self.group)
            except ValueError as exc:
                raise SettingsError(f"STREAMQUEUE_{name}: {exc}") from None

    def connect(self) -> Redis:
        """A client of the queue's Redis. Raises RedisProblem for a URL that can't be used."""
        url = UrlFile(self.redis_url_file, f"{_URL}_FILE") if self.redis_url_file else self.redis_url
        return _client(url, self.redis_mode, self.redis_ca_file, self.redis_auth)

    def connect_next_redis(self) -> NextRedis:
        """A client of the next stream's endpoint, where it is another one; else, or for a URL that can't be used, why
        there is none: the queue itself goes on.
        """
        if not self.has_next_redis:
            return NO_NEXT_REDIS
        file = self.next_redis_url_file
        url = UrlFile(file, f"{_NEXT_URL}_FILE") if file else self.next_redis_url
        try:
            return _client(url, self.next_redis_mode, self.next_redis_ca_file, self.next_redis_auth)
        except RedisProblem as problem:
            return problem

    @property
    def has_next_redis(self) -> bool:
        """Whether the next stream is on another endpoint."""
        return bool(self.next_redis_url or self.next_redis_url_file)

    @property
    def limits(self) -> Limits:
        return Limits(self.visibility_timeout, self.max_deliveries, self.dead_letter_max_length, self.results_ttl)

    @property
    def grace_period(self) -> float:
        return self.grace or self.timeout + 10.0


def _parse(name: str, kind: str, text: str) -> Any:
    try:
        return {"int": int, "float": float}.get(kind, str)(text)
    except ValueError:
        raise SettingsError(f"STREAMQUEUE_{name.upper()} must be {_NUMBERS[kind]}, not {text!r}") from None


def _client(url: str | UrlFile, mode: str, ca_file: str, auth: str) -> Redis:
    credentials = credentials_for(RedisAuth(auth))
    return connect(url, mode=RedisMode(mode), ca_file=ca_file or None, credentials=credentials)
