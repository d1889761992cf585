"""Keys of built things change with every input, and with nothing else."""

from pathlib import Path

from tests.cluster.keys import key_of


def folder(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_same_files_in_another_place_give_the_same_key(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"a": "1", "b/c": "2"})
    two = folder(tmp_path / "two", {"b/c": "2", "a": "1"})
    assert key_of(paths=[one], root=one) == key_of(paths=[two], root=two)


def test_content_and_names_count(tmp_path: Path) -> None:
    variants = [{"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": ""}, {"a": "", "b": "1"}]
    roots = [folder(tmp_path / str(number), files) for number, files in enumerate(variants)]
    assert len({key_of(paths=[root], root=root) for root in roots}) == len(variants)


def test_texts_do_not_run_into_each_other() -> None:
    assert key_of(["ab", "c"]) != key_of(["a", "bc"])


def test_compiled_python_does_not_count(tmp_path: Path) -> None:
    root = folder(tmp_path, {"a.py": "1"})
    before = key_of(paths=[root], root=root)
    folder(root, {"__pycache__/a.pyc": "x"})
    assert key_of(paths=[root], root=root) == before
