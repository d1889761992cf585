"""A Redis URL, taken apart. Pure; no text of an error quotes it, since it may hold a password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from redis.asyncio.connection import parse_url

from streamqueue.streams.errors import ProblemKind, RedisProblem

SENTINEL_PORT = 26379

_SCHEMES = {"redis": False, "rediss": True}
_LOGIN = ("username", "password", "ssl_password")
_SENTINEL_SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}

# redis-py's own, of a connection.
_OPTIONS = frozenset(
    {
        *("host", "port", "db", "username", "password", "sentinel_username", "sentinel_password", "client_name"),
        *("lib_name", "lib_version", "encoding", "encoding_errors", "socket_timeout", "socket_connect_timeout"),
        *("socket_keepalive", "socket_read_size", "health_check_interval", "max_connections", "retry_on_timeout"),
    }
)
# Without ssl_cert_reqs and ssl_check_hostname: nothing switches verification off.
_OPTIONS_OF_TLS = frozenset(
    {
        *("ssl_keyfile", "ssl_certfile", "ssl_password", "ssl_ca_certs", "ssl_ca_path", "ssl_ca_data"),
        *("ssl_ciphers", "ssl_min_version", "ssl_include_verify_flags", "ssl_exclude_verify_flags"),
    }
)

Login = tuple[str | None, str | None]  # user name and password, None where there is none


@dataclass(frozen=True, slots=True)
class Address:
    """`settings` are redis-py's, with `host` and `port` unless sentinels tell them."""

    secure: bool
    settings: dict[str, Any]
    service: str | None = None  # the name sentinels know the primary by
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_login: Login = (None, None)

    @property
    def login(self) -> Login:
        return self.settings.get("username"), self.settings.get("password")

    @property
    def logins(self) -> tuple[Login, Login]:
        return self.login, self.sentinel_login

    @property
    def place(self) -> str:
        """All of it but who logs in: what differs leads elsewhere. Holds no password.

        Whether sentinels want a login counts as a place, since theirs is only exchanged for another.
        """
        plain = {name: value for name, value in self.settings.items() if name not in _LOGIN}
        wanted = [name is not None for name in self.sentinel_login]
        return repr((self.secure, sorted(plain.items()), self.service, self.sentinels, wanted))


def read_url(url: str) -> Address:
    """`redis[s]://user:password@host:port/database`, or `redis[s]+sentinel://user:password@host,host:port/name/database`.

    Raises RedisProblem(BAD_URL).
    """
    try:
        return _read(url)
    except (ValueError, KeyError):
        pass
    # Outside the handler, so that the original is no __context__: it may quote the URL.
    raise RedisProblem(ProblemKind.BAD_URL)


def _read(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme in _SENTINEL_SCHEMES:
        return _read_sentinel(url)
    secure, database = _SCHEMES[parts.scheme], unquote(parts.path).replace("/", "")
    if database and not database.isdecimal():  # redis-py would take 0 for it
        raise ValueError
    return Address(secure, _settings(url, secure=secure))


def _read_sentinel(url: str) -> Address:
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.removeprefix("/").partition("/")
    if not service or (database and not database.isdigit()):
        raise ValueError
    scheme = _SENTINEL_SCHEMES[parts.scheme]
    sentinels = tuple(_host_and_port(host) for host in hosts.split(","))
    secure = _SCHEMES[scheme]
    settings = _settings(urlunsplit((scheme, f"{login}{at}sentinel", f"/{database}", parts.query, "")), secure=secure)
    sentinel_login = settings.pop("sentinel_username", None), settings.pop("sentinel_password", None)
    settings.pop("host")
    return Address(secure, settings, unquote(service), sentinels, sentinel_login)


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    if not parts.hostname:
        raise ValueError
    return parts.hostname, parts.port or SENTINEL_PORT


def _settings(url: str, *, secure: bool) -> dict[str, Any]:
    """Options that are not of a connection are for the other clients that the URL is for, or not for URLs."""
    known = _OPTIONS | _OPTIONS_OF_TLS if secure else _OPTIONS
    return {name: value for name, value in parse_url(url).items() if name in known}
