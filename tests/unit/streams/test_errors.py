"""Whatever an error's own text says, the problem made of it quotes nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import traceback

import pytest
from redis import exceptions as r
from redis.asyncio.sentinel import MasterNotFoundError

from streamqueue.streams import ProblemKind, RedisProblem, classify
from streamqueue.streams.errors import typed

SECRET = "s3cr3tpassword"
TEXT = f"while connecting to redis://app:{SECRET}@host:6379 as '{SECRET}'"


def not_trusted(code: int = 20) -> ssl.SSLCertVerificationError:
    """As OpenSSL raises it."""
    error = ssl.SSLCertVerificationError(1, TEXT)
    error.verify_code = code
    return error


def test_what_newer_pythons_want_of_a_certificate_is_said() -> None:
    """92: the CA says nothing of its key's use, as openssl makes it by itself."""
    assert "key usage and key identifiers" in classify(not_trusted(92)).message


ERRORS: list[tuple[BaseException, ProblemKind]] = [
    (r.ConnectionError(TEXT), ProblemKind.UNREACHABLE),
    (ConnectionRefusedError(111, TEXT), ProblemKind.UNREACHABLE),
    (socket.gaierror(-2, TEXT), ProblemKind.UNREACHABLE),
    (asyncio.IncompleteReadError(TEXT.encode(), 200), ProblemKind.UNREACHABLE),
    (MasterNotFoundError(f"No master found for {TEXT}"), ProblemKind.UNREACHABLE),
    (r.MasterDownError(TEXT), ProblemKind.UNREACHABLE),
    (r.TimeoutError(TEXT), ProblemKind.TIMEOUT),
    (TimeoutError(TEXT), ProblemKind.TIMEOUT),
    (r.AuthenticationError(TEXT), ProblemKind.AUTH),
    (r.ResponseError(f"WRONGPASS {TEXT}"), ProblemKind.AUTH),
    (ssl.SSLError(1, TEXT), ProblemKind.TLS),
    (not_trusted(), ProblemKind.TLS),
    (r.NoPermissionError(f"User app cannot run the 'xadd' command {TEXT}"), ProblemKind.NO_PERMISSION),
    (r.ResponseError(f"WRONGTYPE {TEXT}"), ProblemKind.WRONG_TYPE),
    (r.ResponseError(f"no such key {TEXT}"), ProblemKind.NO_STREAM),
    (r.ResponseError(f"NOGROUP {TEXT}"), ProblemKind.NO_GROUP),
    (r.BusyLoadingError(TEXT), ProblemKind.LOADING),
    (r.ReadOnlyError(TEXT), ProblemKind.READ_ONLY),
    (r.OutOfMemoryError(TEXT), ProblemKind.OUT_OF_MEMORY),
    (r.ResponseError(f"MISCONF {TEXT}"), ProblemKind.MISCONF),
    (r.ResponseError(f"NOREPLICAS {TEXT}"), ProblemKind.NO_REPLICAS),
    (r.ResponseError(f"BUSY {TEXT}"), ProblemKind.BUSY),
    (r.ConnectionError(f"max number of clients reached {TEXT}"), ProblemKind.MAX_CLIENTS),
    (r.ResponseError(f"CLUSTERDOWN {TEXT}"), ProblemKind.CLUSTER),
    (r.RedisClusterException(TEXT), ProblemKind.CLUSTER),
    (r.ResponseError(f"unknown command {TEXT}"), ProblemKind.UNSUPPORTED),
    (r.ResponseError(f"ERR {TEXT}"), ProblemKind.OTHER),
    (r.DataError(TEXT), ProblemKind.OTHER),
]


def test_every_kind_of_problem_is_among_them() -> None:
    said_by_no_server = {ProblemKind.BAD_URL, ProblemKind.NO_ENDPOINT}
    assert {kind for _, kind in ERRORS} == set(ProblemKind) - said_by_no_server


@pytest.mark.parametrize(("error", "kind"), ERRORS, ids=[f"{kind}-{type(error).__name__}" for error, kind in ERRORS])
def test_no_problem_quotes_the_error_it_was_made_of(error: BaseException, kind: ProblemKind) -> None:
    outer = r.ConnectionError(TEXT)
    outer.__cause__ = error
    for each in (error, outer):
        problem = classify(each)
        assert problem.kind is kind
        assert SECRET not in f"{problem} {problem!r} {problem.args!r}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (r.NoPermissionError("User TASKS has no permissions to run the 'xadd' command"), ProblemKind.NO_PERMISSION),
        (
            r.ResponseError("unknown command 'EVALSHA', with args beginning with: 'c0ffee' '6' 'BLOOM' "),
            ProblemKind.UNSUPPORTED,
        ),
    ],
)
def test_the_name_of_a_user_or_a_key_is_not_taken_for_the_code_in_it(error: BaseException, kind: ProblemKind) -> None:
    """ASK would be of a cluster, OOM of a full server: a worker would wait for what does not pass."""
    assert classify(error).kind is kind


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (not_trusted(10), "has expired"),
        (not_trusted(18), "is self-signed"),
        (not_trusted(19), "CA is not trusted"),
        (not_trusted(62), "another host name"),
        (not_trusted(64), "this IP address"),
        (not_trusted(1), "was not accepted"),
        (r.NoPermissionError(f"User app has no permissions to run the 'xadd' command {TEXT}"), "(command xadd)"),
        (r.ResponseError(f"unknown command 'evalsha', with args {TEXT}"), "(EVALSHA)"),
        (r.ResponseError("DB index is out of range"), "no database of the URL's number"),
        (MasterNotFoundError(TEXT), "no sentinel that can be reached knows a primary"),
        (socket.gaierror(-2, TEXT), "no address"),
        (UnicodeError(TEXT), "no address"),
        (ConnectionRefusedError(111, TEXT), "(ECONNREFUSED)"),
    ],
)
def test_what_can_be_said_of_an_error_is_said(error: BaseException, says: str) -> None:
    outer = r.ConnectionError(TEXT)
    outer.__context__ = error
    assert says in classify(error).message and SECRET not in classify(error).message
    if not isinstance(error, r.ResponseError):  # which the client raises as it is
        assert says in classify(outer).message


@pytest.mark.parametrize("error", [error for error, kind in ERRORS if isinstance(error, r.RedisError | OSError)])
async def test_what_leaves_the_package_drags_no_error_along(error: BaseException) -> None:
    async def fail() -> None:
        raise error

    with pytest.raises(RedisProblem) as caught:
        await typed(fail())
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert SECRET not in "".join(traceback.format_exception(caught.value))
