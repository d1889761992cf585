"""Endpoints of a namespace whose Secrets a test may change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest

from streamqueue.controller.endpoints import Endpoints
from streamqueue.controller.kube import Kube
from tests.redis.controller.namespace import Namespace


@pytest.fixture
def namespace() -> Namespace:
    return Namespace()


@pytest.fixture
async def endpoints(namespace: Namespace) -> AsyncIterator[Endpoints]:
    endpoints = Endpoints(cast(Kube, namespace))
    yield endpoints
    await endpoints.close()
