"""Arrays kept on disk: what is read is what was written, under the same key; anything else is no entry."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas import cache

ARRAYS = {"a": np.arange(12.0).reshape(3, 4), "b": np.array([1, 2], dtype=np.int64)}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


def _same(arrays: dict[str, np.ndarray] | None) -> bool:
    return (
        arrays is not None
        and set(arrays) == set(ARRAYS)
        and all(np.array_equal(arrays[k], v) and arrays[k].dtype == v.dtype for k, v in ARRAYS.items())
    )


def test_arrays_come_back_as_they_were(place: Path) -> None:
    assert cache.load("t", ["x"]) is None
    cache.save("t", ["x"], ARRAYS)
    assert _same(cache.load("t", ["x"]))
    assert [path.suffix for path in place.iterdir()] == [".npz"]


@pytest.mark.parametrize("other", [["y"], ["x", ""], ["", "x"], []])
def test_another_key_is_another_entry(other: list[str]) -> None:
    cache.save("t", ["x"], ARRAYS)
    assert cache.load("t", other) is None
    assert cache.load("u", ["x"]) is None


def test_where_one_part_ends_matters() -> None:
    assert cache.digest(["ab", "c"]) != cache.digest(["a", "bc"])


def test_a_salt_enters_every_key_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_SALTS", set())
    cache.save("t", ["x"], ARRAYS)
    cache.salt("one plug-in")
    assert cache.load("t", ["x"]) is None
    cache.salt("another")
    cache.save("t", ["x"], ARRAYS)
    monkeypatch.setattr(cache, "_SALTS", set())
    cache.salt("another")
    cache.salt("one plug-in")
    assert _same(cache.load("t", ["x"]))


def test_other_sources_are_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.save("t", ["x"], ARRAYS)
    monkeypatch.setattr(cache, "sources", lambda: "other")
    assert cache.load("t", ["x"]) is None
    monkeypatch.setattr(cache, "sources", lambda: None)
    cache.save("t", ["y"], ARRAYS)
    assert cache.load("t", ["y"]) is None


def test_sources_follow_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cache._SOURCES:
        path = tmp_path / "package" / name
        if not path.suffix:
            path.mkdir(parents=True)
        (path if path.suffix else path / "m.py").write_text("x = 1\n")
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "package/cache.py"))
    digests = {cache.sources.__wrapped__()}
    for name in cache._SOURCES:
        path = tmp_path / "package" / name
        (path if path.suffix else path / "m.py").write_text("x = 2\n")
        digests.add(cache.sources.__wrapped__())
    (tmp_path / "package/blocks/new.py").write_text("")
    digests.add(cache.sources.__wrapped__())
    assert len(digests) == len(cache._SOURCES) + 2 and None not in digests


def test_every_cut_of_an_entry_is_no_entry(place: Path) -> None:
    cache.save("t", ["x"], ARRAYS)
    (path,) = place.iterdir()
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        assert cache.load("t", ["x"]) is None
    cache.save("t", ["x"], ARRAYS)
    assert _same(cache.load("t", ["x"]))


def test_a_changed_byte_never_changes_a_value(place: Path) -> None:
    cache.save("t", ["x"], ARRAYS)
    (path,) = place.iterdir()
    whole = path.read_bytes()
    refused = 0
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        arrays = cache.load("t", ["x"])
        assert arrays is None or _same(arrays)  # some bytes, such as a date, say nothing
        refused += arrays is None
    assert refused > len(whole) / 2


def test_what_another_key_left_under_the_name_is_no_entry(place: Path) -> None:
    cache.save("t", ["x"], ARRAYS)
    (path,) = place.iterdir()
    cache.save("t", ["y"], {"a": np.zeros(2)})
    (other,) = set(place.iterdir()) - {path}
    other.replace(path)
    assert cache.load("t", ["x"]) is None


def test_pickles_are_never_loaded(place: Path) -> None:
    cache.save("t", ["x"], ARRAYS)
    (path,) = place.iterdir()
    bomb = np.array([_Bomb()], dtype=object)
    np.savez(path, a=bomb, key=np.load(path)["key"])
    assert cache.load("t", ["x"]) is None


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


def test_off_keeps_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NAS_CACHE", "off")
    cache.save("t", ["x"], ARRAYS)
    assert cache.load("t", ["x"]) is None
    assert not (tmp_path / "home").exists() and not Path("off").exists()


def test_folders_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.folder() == tmp_path / "kept"
    monkeypatch.delenv("NAS_CACHE")
    assert cache.folder() == tmp_path / "xdg/nas"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == tmp_path / ".cache/nas"


def test_a_folder_that_cannot_be_made_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAS_CACHE", str(tmp_path / "file" / "inside"))
    cache.save("t", ["x"], ARRAYS)
    assert cache.load("t", ["x"]) is None


def test_a_full_disk_is_no_error_and_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object, **arrays: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    cache.save("t", ["x"], ARRAYS)
    assert list(place.iterdir()) == [] and cache.load("t", ["x"]) is None


def test_the_oldest_are_dropped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = {"a": np.zeros(1000)}
    monkeypatch.setattr(cache, "MAX_BYTES", 3 * 9000)
    for number in range(3):
        cache.save("t", [str(number)], big)
        (newest,) = (
            path
            for path in place.iterdir()
            if stat.S_ISREG(path.stat().st_mode) and path.stat().st_mtime > 10**6
        )
        os.utime(newest, (number, number))
    assert cache.load("t", ["0"]) is not None  # used: now the newest
    cache.save("t", ["3"], big)
    assert [cache.load("t", [str(number)]) is not None for number in range(4)] == [True, False, True, True]
    cache.save("t", ["large"], {"a": np.zeros(10_000)})
    assert cache.load("t", ["large"]) is None and cache.load("t", ["3"]) is not None


def test_processes_that_write_one_entry_at_once_leave_a_whole_one(place: Path) -> None:
    code = (
        "from nas import cache; import numpy as np\n"
        "for _ in range(30):\n"
        "    cache.save('t', ['x'], {'a': np.full(50_000, 7.0)})\n"
        "    arrays = cache.load('t', ['x'])\n"
        "    assert arrays is not None and (arrays['a'] == 7).all()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(list(place.iterdir())) == 1
