"""How long the long storm is."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, default=30.0, help="of the long storm (default: 30)")


@pytest.fixture
def minutes(request: pytest.FixtureRequest) -> float:
    found: float = request.config.getoption("--minutes")
    return found
