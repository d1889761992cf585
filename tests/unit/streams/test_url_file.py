"""A URL in a file that changes: what is said of a bad one, and what counts as another server."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest

from streamqueue.streams import ProblemKind, RedisProblem
from streamqueue.streams.connection import ServerChanged, UrlFile, read_url

SECRET = "hunter2-b7"
URL = f"redis://app:{SECRET}@redis:6379/0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "url"


@pytest.fixture
def file(path: Path) -> UrlFile:
    return UrlFile(str(path), "STREAMQUEUE_REDIS_URL_FILE")


def refusal(file: UrlFile) -> RedisProblem:
    with pytest.raises(RedisProblem) as caught:
        file.address()
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__context__)
    return caught.value


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (f"redis://app:{SECRET}".encode(), "holds no Redis URL: the Redis URL cannot be read"),
        (SECRET.encode(), "holds no Redis URL"),
        (b"\xff\xfe" + URL.encode(), "cannot be read"),
    ],
)
def test_a_file_without_a_url_is_named_with_its_variable_and_not_quoted(
    file: UrlFile, path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        path.write_bytes(content)
    problem = refusal(file)
    assert problem.kind is ProblemKind.BAD_URL and not isinstance(problem, ServerChanged)
    assert problem.message.startswith(f"STREAMQUEUE_REDIS_URL_FILE: {path} {says}")
    path.write_text(f"{URL}\n")  # as echo writes it
    assert file.address() == read_url(URL)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(UrlFile(str(tmp_path), "STREAMQUEUE_REDIS_URL_FILE")).message


@pytest.mark.parametrize(
    ("first", "login"),
    [
        (URL, (None, "another")),
        ("redis://redis:6379/0", ("app", SECRET)),
        (URL, (None, None)),
    ],
)
def test_only_the_login_may_change(
    file: UrlFile, path: Path, caplog: pytest.LogCaptureFixture, first: str, login: tuple[str | None, str | None]
) -> None:
    caplog.set_level(logging.INFO)
    path.write_text(first)
    for _ in range(2):
        file.address()
    assert caplog.text == ""
    user, password = login
    path.write_text(f"redis://{user or ''}:{password}@redis:6379/0" if password else "redis://redis:6379/0")
    assert file.address().login == login
    assert caplog.messages == ["STREAMQUEUE_REDIS_URL_FILE: there is a new login"]


@pytest.mark.parametrize(
    "other",
    [
        "redis://app:{}@other:6379/0",
        "redis://app:{}@redis:6380/0",
        "redis://app:{}@redis:6379/1",
        "rediss://app:{}@redis:6379/0",
        "redis://app:{}@redis:6379/0?socket_timeout=1",
        "redis+sentinel://app:{}@redis:6379/mymaster/0",
    ],
)
def test_another_server_gets_no_password(file: UrlFile, path: Path, other: str) -> None:
    path.write_text(URL)
    file.address()
    path.write_text(other.format(SECRET))
    problem = refusal(file)
    assert isinstance(problem, ServerChanged) and "leads to another server" in problem.message
    path.write_text(URL)
    file.address()


def test_sentinels_may_get_another_login_but_not_their_first() -> None:
    plain = "redis+sentinel://a,b/mymaster/0"
    first, second = (read_url(f"{plain}?sentinel_password={word}") for word in (SECRET, "another"))
    assert first.place == second.place != read_url(plain).place
    assert first.logins != second.logins
    assert SECRET not in first.place
