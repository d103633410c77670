"""Content is found by name or by path, the user's own first."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas import content
from nas.errors import NasError


def _device(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "device.yaml").write_text("version: 1\n")
    return folder


def test_shipped_content_is_found_from_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert content.find("spaces", "elasticvit").name == "elasticvit.yaml"
    assert (content.find("devices", "pixel6") / "device.yaml").is_file()
    assert {"pixel1", "pixel4", "pixel6", "xiaomi11"} <= set(content.names("devices"))
    assert {"pixel1", "pixel4", "pixel6", "xiaomi11"} <= set(content.names("predictors"))


def test_the_users_own_device_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = _device(tmp_path / "devices" / "pixel6")
    board = _device(tmp_path / "devices" / "board")
    assert content.find("devices", "pixel6") == own
    assert content.find("devices", "board") == board
    assert "board" in content.names("devices")


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    board = _device(tmp_path / "boards" / "mine")
    for given in (board, str(board), "boards/mine", "boards/mine/device.yaml"):
        assert content.find("devices", given).resolve() == board


def test_a_separator_makes_it_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = _device(tmp_path / "pixel6")
    assert content.find("devices", "./pixel6").resolve() == here
    assert content.find("devices", "pixel6").resolve() != here


def test_a_folder_named_like_content_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elasticvit").mkdir()
    assert content.find("spaces", "elasticvit").is_file()


def test_installed_content_is_found_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    shipped = _device(site / "nas" / "_content" / "devices" / "phone")
    _device(site / "devices" / "stranger")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(content, "__file__", str(site / "nas" / "content.py"))
    assert content.find("devices", "phone") == shipped
    assert content.names("devices") == ["phone"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pixel66", "Did you mean 'pixel6'?"),
        ("toaster", "Known: "),
        ("nowhere/pixel6", "no such file or directory"),
        ("", "is empty"),
    ],
)
def test_what_is_not_there(name: str, says: str) -> None:
    with pytest.raises(NasError, match=r"device|nowhere") as error:
        content.find("devices", name)
    assert says in str(error.value)


def test_a_path_of_the_wrong_kind(tmp_path: Path) -> None:
    with pytest.raises(NasError, match=r"a folder with a device\.yaml is needed"):
        content.find("devices", tmp_path)
    with pytest.raises(NasError, match="a YAML file is needed"):
        content.find("spaces", tmp_path)
