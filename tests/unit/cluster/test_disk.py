"""A build is refused where a disk has no room for it."""

from pathlib import Path

from tests.cluster.disk import GIB, nearest, shortage, used

GO, IMAGES = Path("/go"), Path("/images")


def test_folders_on_one_disk_share_its_room() -> None:
    needs = {GO: 10 * GIB, IMAGES: 5 * GIB}
    assert shortage(needs, {GO: 1, IMAGES: 1}, {1: 16 * GIB}) is None
    sentence = shortage(needs, {GO: 1, IMAGES: 1}, {1: 14 * GIB})
    assert sentence is not None
    assert "15 GiB" in sentence
    assert "14 GiB" in sentence


def test_each_disk_counts_for_itself() -> None:
    needs, device = {GO: 10 * GIB, IMAGES: 5 * GIB}, {GO: 1, IMAGES: 2}
    assert shortage(needs, device, {1: 11 * GIB, 2: 6 * GIB}) is None
    sentence = shortage(needs, device, {1: 11 * GIB, 2: 4 * GIB})
    assert sentence is not None
    assert "/images" in sentence
    assert "/go" not in sentence


def test_what_is_cached_already_is_measured(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/b").write_bytes(b"12345")
    assert used(tmp_path) == 5
    assert nearest(tmp_path / "not/there") == tmp_path
