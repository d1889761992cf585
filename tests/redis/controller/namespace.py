"""A namespace's Secrets, without the API server."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from streamqueue.controller.cluster.kube import KubeError
from streamqueue.controller.kinds import Kind


class Namespace:
    """Secrets as the API server gives them, and as somebody changes them."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, str]] = {}
        self.failure: KubeError | None = None
        self.answers = asyncio.Event()
        self.answers.set()

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        await self.answers.wait()
        if self.failure:
            raise self.failure
        values = self.secrets.get(name)
        if values is None:
            return None
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return {"metadata": {"uid": f"uid-of-{name}"}, "data": data}
