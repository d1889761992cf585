"""Security contexts of containers: what the operator gives to others' images, and to its own."""

from __future__ import annotations

from typing import Any

UNPRIVILEGED_USER = 65532  # as in the operator's image

WITHOUT_PRIVILEGES: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
UNPRIVILEGED: dict[str, Any] = {**WITHOUT_PRIVILEGES, "readOnlyRootFilesystem": True}
