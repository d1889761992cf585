"""Which servers there are, and the exact packages each is made of.

`python -m tests.redis.servers.lock` resolves them anew and writes `lock.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.redis.servers.apt import Suite

LOCK = Path(__file__).with_name("lock.json")

# server: (suite, package that holds the binary)
SOURCES = {
    "redis-6.0": ("bullseye", "redis-tools"),
    "redis-7.0": ("bookworm", "redis-tools"),
    "redis-8.0": ("trixie", "redis-tools"),
    "redis-8.6": ("experimental", "redis-tools"),
    "valkey-8.1": ("trixie", "valkey-tools"),
    "valkey-9.1": ("forky", "valkey-tools"),
}


@dataclass(frozen=True, slots=True)
class Package:
    suite: str
    name: str
    version: str
    sha256: str


def locked() -> dict[str, list[Package]]:
    """Packages by server, the server's own first."""
    return {
        server: [Package(**package) for package in packages]
        for server, packages in json.loads(LOCK.read_text()).items()
    }


def main() -> None:
    result = {}
    for server, (suite_name, tool) in SOURCES.items():
        suite = Suite(suite_name)
        suite.update()
        packages = [
            {"suite": suite_name, "name": name, "version": version, "sha256": sha}
            for name, version, sha in suite.closure(tool)
            if name == tool or name.startswith(("lib", "lua-"))
        ]
        result[server] = sorted(packages, key=lambda package: (package["name"] != tool, package["name"]))
    LOCK.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
