"""Which Pythons there are, and the exact packages each is made of.

`python -m tests.pythons.lock` resolves them anew and writes `lock.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.redis.servers.apt import Suite
from tests.redis.servers.lock import Package

LOCK = Path(__file__).with_name("lock.json")
SUITES = {"3.13": "trixie", "3.14": "forky"}  # 3.12 is in none


def main() -> None:
    result = {}
    for version, name in SUITES.items():
        suite = Suite(name)
        suite.update()
        found = [Package(name, *each) for each in suite.closure(f"python{version}")]
        needed = [package for package in found if package.name.startswith(("python", "lib", "zlib"))]
        result[version] = [asdict(package) for package in sorted(needed, key=lambda package: package.name)]
    LOCK.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
