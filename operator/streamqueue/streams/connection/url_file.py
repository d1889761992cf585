"""A Redis URL in a file: a mounted Secret, whose password changes under a running process."""

from __future__ import annotations

import logging
from pathlib import Path

from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from streamqueue.streams.connection.address import Address, read_url
from streamqueue.streams.errors import ProblemKind, RedisProblem

log = logging.getLogger(__name__)


class ServerChanged(RedisProblem):
    """The file leads to another server than at first: this client can't follow, the process must start anew."""


class UrlFile:
    """Read anew for each connection, so that what was refused once is never kept. Errors name `variable` and `path`."""

    def __init__(self, path: str, variable: str) -> None:
        self._path = path
        self._variable = variable
        self._last: Address | None = None

    def address(self) -> Address:
        """What the file says now.

        Raises RedisProblem(BAD_URL) where it holds no URL, `ServerChanged` where it holds another server's: a new
        password must not be sent to the old server.
        """
        address, last = self._read(), self._last
        if last and address.place != last.place:
            raise ServerChanged(
                ProblemKind.BAD_URL, self._says("leads to another server than at the start: start anew")
            )
        if last and address.logins != last.logins:
            log.info("%s: there is a new login", self._variable)
        self._last = address
        return address

    def _read(self) -> Address:
        try:
            text = Path(self._path).read_bytes().decode().strip()
        except FileNotFoundError:
            why = "does not exist: mount the Secret that holds the Redis URL there"
        except (OSError, ValueError):
            why = "cannot be read: it must be a text file that holds the Redis URL"
        else:
            try:
                return read_url(text)
            except RedisProblem as problem:
                why = f"holds no Redis URL: {problem.message}" if text else "is empty: it must hold the Redis URL"
        # Outside the handlers, so that nothing that was read is a __context__.
        raise RedisProblem(ProblemKind.BAD_URL, self._says(why))

    def _says(self, what: str) -> str:
        return f"{self._variable}: {self._path} {what}"


class SentinelLogin(CredentialProvider):
    """The user and password for the sentinels themselves."""

    def __init__(self, url: UrlFile) -> None:
        self._url = url

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        try:
            username, password = self._url.address().sentinel_login
        except RedisProblem as problem:
            raise AuthenticationError("no login") from problem
        return (username, password or "") if username else (password or "",)
