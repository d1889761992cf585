"""Endpoints of a namespace whose Secrets a test may change; and metrics that no test has from another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import cast

import pytest

from streamqueue.controller.cluster.kube import Kube
from streamqueue.controller.endpoints.endpoints import Endpoints
from streamqueue.controller.status import metrics
from tests.redis.controller.loops import KEY
from tests.redis.controller.namespace import Namespace


@pytest.fixture(autouse=True)
def _no_metrics_of_others() -> Iterator[None]:
    metrics.forget(KEY)
    yield
    metrics.forget(KEY)


@pytest.fixture
def namespace() -> Namespace:
    return Namespace()


@pytest.fixture
async def endpoints(namespace: Namespace) -> AsyncIterator[Endpoints]:
    endpoints = Endpoints(cast(Kube, namespace))
    yield endpoints
    await endpoints.close()
