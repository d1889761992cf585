"""`redis` and `next.redis`: where a Redis is, and how it is logged in to."""

from __future__ import annotations

import re

from streamqueue.api.block import Block
from streamqueue.api.names import OBJECT_NAME
from streamqueue.api.spec import Redis, RedisAuth, RedisMode, SecretKey

_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_SCHEME = re.compile(r"rediss?(\+sentinel)?://")
_URL = re.compile(rf"rediss?://{_HOST}(/[0-9]{{0,5}})?")
_SENTINEL_URL = re.compile(rf"rediss?\+sentinel://{_HOST}(,{_HOST})*/[A-Za-z0-9._-]+(/[0-9]{{0,5}})?")
_SECRET_KEY = re.compile(r"[-._a-zA-Z0-9]+")


def parse_redis(spec: Block) -> Redis:
    """Block `redis` of `spec`, or of its `next`. Raises SpecError."""
    if not spec.has("redis"):
        raise spec.error("redis", "is required: set url or secretRef")
    block = spec.block("redis", "url", "secretRef", "mode", "tls", "auth")
    if block.has("url") == block.has("secretRef"):
        raise spec.error("redis", "set exactly one of url and secretRef")
    redis = Redis(
        url=_url(block) if block.has("url") else None,
        secret_ref=_secret_key(block, "secretRef") if block.has("secretRef") else None,
        mode=RedisMode(block.choice("mode", tuple(RedisMode), RedisMode.AUTO)),
        ca_secret_ref=_secret_key(block.block("tls", "caSecretRef"), "caSecretRef") if block.has("tls") else None,
        auth=RedisAuth(block.choice("auth", tuple(RedisAuth), RedisAuth.PASSWORD)),
    )
    if redis.url:
        _check_url(block, redis, redis.url)
    return redis


def _secret_key(block: Block, name: str) -> SecretKey:
    if not block.has(name):
        raise block.error(name, "is required")
    secret = block.block(name, "name", "key")
    name, key = secret.required_text("name", 253), secret.required_text("key", 253)
    # A slash would lead the request for it into another namespace.
    if not re.fullmatch(OBJECT_NAME, name):
        raise secret.error("name", "must be the name of a Secret in the queue's namespace, as in redis-credentials")
    if not _SECRET_KEY.fullmatch(key):
        raise secret.error("key", "must be a key of the Secret: letters, digits, '-', '_' and '.'")
    return SecretKey(name, key)


def _url(redis: Block) -> str:
    url = redis.required_text("url", 512)
    if not _SCHEME.match(url):
        raise redis.error("url", "must begin with redis:// or rediss://, or with redis+sentinel://")
    if "@" in url or "?" in url:
        raise redis.error("url", "must hold no user, password or option: put the whole URL in a Secret, use secretRef")
    if "+" in url and not _SENTINEL_URL.fullmatch(url):
        raise redis.error("url", "must be redis+sentinel://host:port,host:port/name/database")
    if "+" not in url and not _URL.fullmatch(url):
        raise redis.error("url", "must be redis://host:port/database, as in redis://redis:6379/0")
    return url


def _check_url(block: Block, redis: Redis, url: str) -> None:
    """What a URL in a Secret is checked for when it is used."""
    by_sentinel = "+sentinel://" in url
    if redis.mode is not RedisMode.AUTO and (redis.mode is RedisMode.SENTINEL) != by_sentinel:
        raise block.error("mode", "sentinel goes with a URL redis+sentinel://, standalone and cluster with redis://")
    if not url.startswith("rediss"):
        for name, used in (("tls", redis.ca_secret_ref), ("auth", redis.auth is RedisAuth.ENTRA)):
            if used:
                raise block.error(name, "needs a URL for TLS: write rediss:// or rediss+sentinel://")
