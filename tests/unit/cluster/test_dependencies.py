"""What is installed for an image is the same in each checkout."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.dependencies import slim


def test_what_names_the_checkout_is_left_out(tmp_path: Path) -> None:
    for name in (
        "bin/tool",
        "tool/main.py",
        "tool/tests/test_main.py",
        "tool/__pycache__/main.cpython-311.pyc",
        "tool-1.0.dist-info/METADATA",
        "tool-1.0.dist-info/RECORD",
    ):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    slim(tmp_path)

    left = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert left == {"tool/main.py", "tool-1.0.dist-info/METADATA"}
