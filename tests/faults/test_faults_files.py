"""Files of a run that were cut, altered, emptied, or put there from another run."""

from __future__ import annotations

import errno
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from endings_damage import TENTHS, copied, damages, message, stood
from endings_small import environment, outcome, search, words, write_cells

import nas
from nas.errors import NasError
from nas.files import write_atomically
from nas.kept import HASH, Shape, previous_of, read_record, write_record
from nas.kept_weights import read_weights, write_weights
from nas.supernet.checkpoint import Checkpointer, digest

TRAINED = Path(__file__).resolve().parents[1] / "pipeline" / "small.yaml"
TINY = (
    "threads=1",
    "train.steps=4",
    "train.batch=8",
    "train.resolution_scale=0.25",
    "train.checkpoint_every=2",
    "train.sampler.banks.capacity=3",
    "train.sampler.banks.big_capacity=2",
    "evaluate.recalibrate=1",
    "evaluate.final_recalibrate=1",
    "evaluate.images=16",
    "search.batch=4",
)


@pytest.fixture(autouse=True)
def no_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default storage is the working directory's."""
    monkeypatch.delenv("NAS_STORAGE", raising=False)


def made(home: Path, make: Callable[[], Any]) -> Path:
    """A working directory in which something was run."""
    patch = pytest.MonkeyPatch()
    write_cells(home)
    patch.chdir(home)
    make()
    patch.undo()
    return home


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search that was ended after 12 of 24 trials."""
    return made(tmp_path_factory.mktemp("runs") / "one", lambda: search(n_trials=12, report=True))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with another seed."""
    return made(tmp_path_factory.mktemp("others") / "two", lambda: search(n_trials=12, seed=5))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What 24 trials find."""
    home = made(tmp_path_factory.mktemp("wholes") / "three", lambda: search(n_trials=24))
    return outcome("s", f"sqlite:///{home / 'nas.db'}")


FILES = ["nas-runs/s/search.json", "nas-runs/s/search.previous.json", "nas-runs/s/report.html", "nas.db"]


def tried(
    file: str, run: Path, other: Path, to: Path, whole: dict[str, Any], flips: int, tenths: Any
) -> None:
    """Damage one file in every way; run, show, front and export must stand it, and the run ends as it should."""
    elsewhere = other / file
    ways = damages(
        (run / file).read_bytes(), elsewhere.read_bytes() if elsewhere.exists() else None, flips, tenths
    )
    for way, content in ways:
        copied(run, to)
        (to / file).write_bytes(content)
        done = stood(*words("--n-trials", "24", "--resume", "-q"))
        told = message(done)
        if file.endswith(".db"):
            stood("study", "show", "s")
            stood("study", "list")
            stood("front", "s")
            stood("export", "s/0")
            known = "nas.db" in told or (way == "another run's" and "settings.seed" in told)
            assert not told or known, f"{way}: {told}"
            continue
        assert not told, f"{file} {way}: {told}"
        assert outcome() == whole, f"{file} {way}"


@pytest.mark.parametrize("file", [FILES[0], FILES[-1]])
def test_a_damaged_file_of_a_search_costs_nothing(
    file: str,
    stopped: Path,
    another: Path,
    whole: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    tried(file, stopped, another, work, whole, 2, (5,))


@pytest.mark.fuzz
@pytest.mark.parametrize("file", FILES)
def test_a_file_of_a_search_may_be_damaged_in_any_way(
    file: str,
    stopped: Path,
    another: Path,
    whole: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    tried(file, stopped, another, work, whole, 5, TENTHS if file.endswith((".db", "search.json")) else (5,))


class Numbers(Shape):
    """A record of the tests."""

    n: int


def test_a_record_carries_its_hash_and_its_previous_generation_takes_over(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_record(file, {"n": 1, "more": [float("nan"), 0.1]})
    write_record(file, {"n": 2})
    assert read_record(file, Numbers, "").data == {"n": 2}
    for content in damages(file.read_bytes(), None, 200, TENTHS):
        file.write_bytes(content[1])
        record = read_record(file, Numbers, "")
        if record.data["n"] != 2:
            assert record.data["n"] == 1 and "a.json" in record.warning, content[0]
        else:  # what was altered means the same in JSON
            assert json.loads(content[1])["n"] == 2
    file.write_text('{"n": "two"}')
    assert "n: Input should be a valid integer" in read_record(file, Numbers, "").warning
    previous_of(file).unlink()
    with pytest.raises(NasError, match=r"a\.json: it is damaged.* Do this\."):
        read_record(file, Numbers, "Do this.")


def test_a_record_of_an_earlier_version_has_no_hash_and_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"n": 3}')
    assert read_record(tmp_path / "a.json", Numbers, "").data == {"n": 3}


def test_weights_are_those_of_their_card(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    card = {"weights_sha256": write_weights(file, {"a": torch.arange(60.0), "b": torch.ones(3, 4)})}
    assert torch.equal(read_weights(file, card, "")["a"], torch.arange(60.0))
    content = file.read_bytes()
    write_weights(tmp_path / "other", {"a": torch.arange(60.0) + 1, "b": torch.ones(3, 4)})
    for way, damaged in damages(content, (tmp_path / "other").read_bytes(), 60, TENTHS):
        file.write_bytes(damaged)
        with pytest.raises(NasError, match=r"w\.safetensors: .* Do this\."):
            read_weights(file, card, "Do this.")
        try:  # as of an earlier version: without a hash no altered number is noticed, and nothing else happens
            read_weights(file, {}, "Do this.")
        except NasError as error:
            assert "Do this." in str(error), way
    file.unlink()
    with pytest.raises(NasError, match=r"w\.safetensors: cannot be read \(No such file"):
        read_weights(file, card, "")


PAYLOAD: dict[str, Any] = {
    "step": 2,
    "model": {"a": torch.arange(500.0), "b": torch.ones(2, 3, dtype=torch.bfloat16)},
    "rng": "x" * 40,
    "losses": [0.5, float("nan")],
}


def test_a_damaged_checkpoint_never_hides_a_good_one(tmp_path: Path) -> None:
    folder = Checkpointer(tmp_path, "mine")
    folder.save({**PAYLOAD, "step": 1})
    folder.save(PAYLOAD)
    Checkpointer(tmp_path / "other", "theirs").save(PAYLOAD)
    theirs = (tmp_path / "other" / folder.current.name).read_bytes()
    for way, content in damages(folder.current.read_bytes(), theirs, 150, TENTHS):
        folder.current.write_bytes(content)
        loaded = folder.load()
        assert loaded is not None
        state, warning = loaded
        if state["step"] == 1:
            assert warning is not None and "checkpoint.pt" in warning, way
        else:  # a byte that means nothing, as in the padding of the archive
            assert digest({**PAYLOAD, "of": "mine"}) == digest(state), way
    for path in (folder.current, folder.previous):
        path.write_bytes(b"PK" * 40)
    with pytest.raises(NasError, match="no checkpoint of this training can be used") as error:
        folder.load()
    assert str(folder.current) in str(error.value) and str(folder.previous) in str(error.value)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    import pickle

    class Runs:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    folder = Checkpointer(tmp_path)
    torch.save({"step": 1, "model": Runs()}, folder.current)
    folder.previous.write_bytes(pickle.dumps(Runs()))
    with pytest.raises(NasError, match="damaged"):
        folder.load()
    assert not (tmp_path / "ran").exists()


def test_the_newest_of_fixed_and_other_steps_is_gone_on_from_and_a_breakdown_goes_back_to_fixed_ones(
    tmp_path: Path,
) -> None:
    folder = Checkpointer(tmp_path)
    for step, between in ((2, False), (3, True), (4, False), (5, True)):
        folder.save({**PAYLOAD, "step": step}, between=between)
        assert folder.load()[0]["step"] == step  # type: ignore[index]
    assert folder.load(fixed=True)[0]["step"] == 4  # type: ignore[index]
    folder.clear()
    assert folder.load() is None


class Full:
    """A disk that is full after so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, handle: Any, data: Any) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = min(self.room, len(memoryview(data).cast("B")))
        self.room -= taken
        return handle.write(memoryview(data).cast("B")[:taken])  # type: ignore[no-any-return]


@pytest.mark.parametrize("room", [0, 100, 2500])
def test_a_full_disk_is_told_and_nothing_of_the_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    folder = Checkpointer(tmp_path)
    folder.save(PAYLOAD)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    opened = Path.open

    def limited(self: Path, mode: str = "r", buffering: int = -1, **rest: Any) -> Any:
        handle = opened(self, mode, buffering, **rest)
        if "w" not in mode:
            return handle
        disk = Full(room)

        class Limited:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *error: object) -> None:
                handle.close()

            def write(self, data: Any) -> int:
                return disk.write(handle, data)

            def flush(self) -> None:
                handle.flush()

            def fileno(self) -> int:
                return int(handle.fileno())

        return Limited()

    monkeypatch.setattr(Path, "open", limited)
    for save in (lambda: folder.save(PAYLOAD), lambda: write_atomically(folder.current, b"x" * 9999)):
        with pytest.raises(NasError, match=r"checkpoint\.pt: cannot be written: the disk is full; make room"):
            save()
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


LIMITED = """
import resource, sys, torch
from pathlib import Path
from nas.errors import NasError
from nas.supernet.checkpoint import Checkpointer
folder = Checkpointer(Path(sys.argv[1]))
folder.save({"step": 1, "model": torch.ones(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    folder.save({"step": 2, "model": torch.ones(100_000)})
except NasError as error:
    print(error)
print(folder.load()[0]["step"], sorted(path.name for path in Path(sys.argv[1]).iterdir()))
"""


def test_a_file_that_the_system_refuses_to_grow_is_told(tmp_path: Path) -> None:
    """By the system itself, through torch's writer, which raises errors of its own."""
    assert resource.RLIMIT_FSIZE >= 0
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, env=environment()
    )
    told, left = done.stdout.strip().splitlines()
    assert "checkpoint.pt: cannot be written: files of this size are not allowed here" in told, done.stderr
    assert left == "1 ['checkpoint.pt']"


def train(**given: Any) -> nas.Study:
    settings = [*TINY, *given.pop("settings", [])]
    return nas.run(
        TRAINED, settings=settings, n_trials=4, strategy="random", study_name="t", report=False, **given
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a tiny supernet, and one of its networks retrained."""

    def make() -> None:
        train()
        assert not message(stood("retrain", "t/0", "--set", "train.steps=2", "-q"))

    return made(tmp_path_factory.mktemp("trained") / "one", make)


@pytest.fixture(scope="module")
def other_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with another seed."""
    return made(tmp_path_factory.mktemp("trained") / "two", lambda: train(seed=3))


@pytest.fixture
def work(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the trained run, as working directory."""
    to = tmp_path / "work"
    copied(trained, to)
    monkeypatch.chdir(to)
    return to  # type: ignore[return-value]


def again(*more: str) -> list[str]:
    sets = [word for text in TINY for word in ("--set", text)]
    given = ["run", str(TRAINED), *sets, "--n-trials", "4", "--strategy", "random", "--study-name", "t"]
    return [*given, "-q", *more]


CARD, WEIGHTS = Path("nas-runs/t/supernet.json"), Path("nas-runs/t/supernet.safetensors")


def test_a_flipped_byte_in_weights_is_noticed_and_what_is_advised_trains_the_same_ones(work: Path) -> None:
    content = WEIGHTS.read_bytes()
    WEIGHTS.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    for command in (again("--resume"), ["export", "t/1", "--space", str(TRAINED)]):
        told = message(stood(*command))
        assert str(WEIGHTS) in told and "SHA-256" in told and f"delete {CARD}" in told
    CARD.unlink()
    previous_of(CARD).unlink(missing_ok=True)
    assert not message(stood(*again("--resume")))
    assert WEIGHTS.read_bytes() == content


def test_weights_and_card_of_another_run_are_refused(work: Path, other_trained: Path) -> None:
    shutil.copy(other_trained / WEIGHTS, WEIGHTS)
    assert "SHA-256" in message(stood(*again("--resume")))
    shutil.copy(other_trained / CARD, CARD)
    told = message(stood(*again("--resume")))
    assert "the card of another training: its seed is 3, this study's is 0" in told and str(CARD) in told


def test_damaged_checkpoints_are_told_with_a_way_on_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    class Stops(nas.pipeline.progress.Silent):  # type: ignore[name-defined,misc]
        def say(self, told: str) -> None:
            if told.startswith("data "):
                import signal

                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(reporter=Stops())
    (between,) = Path("nas-runs/t").glob("checkpoint*")
    between.write_bytes(between.read_bytes()[:1000])
    told = message(stood(*again("--resume")))
    assert str(between) in told and "--resume" in told and "Delete" in told
    between.unlink()
    assert not message(stood(*again("--resume")))
    assert WEIGHTS.read_bytes() == (trained / WEIGHTS).read_bytes()


def test_retrained_weights_are_checked_and_what_is_advised_works(work: Path) -> None:
    (folder,) = Path("nas-runs/t/retrain").iterdir()
    for file in ("retrained.safetensors", "retrained.json", "begun.json"):
        target = folder / file
        content = target.read_bytes()
        target.write_bytes(content[: len(content) // 2])
        if file == "begun.json":
            told = message(stood("retrain", "t/0", "--set", "train.steps=2", "--resume", "-q"))
        else:
            told = message(stood("export", "t/0", "--weights", "retrained", "--space", str(TRAINED)))
        assert str(target) in told and "--overwrite" in told, (file, told)
        target.write_bytes(content)
    (folder / "begun.json").write_bytes(b"")
    shutil.rmtree(folder)
    assert not message(stood("retrain", "t/0", "--set", "train.steps=2", "-q"))


@pytest.mark.fuzz
def test_a_file_of_a_trained_run_may_be_damaged_in_any_way(
    trained: Path, other_trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "work"
    copied(trained, to)
    monkeypatch.chdir(to)
    retrained = [path.relative_to(trained) for path in (trained / "nas-runs/t/retrain").rglob("retrained.*")]
    for file in (CARD, WEIGHTS, *sorted(retrained)):
        other = other_trained / file
        theirs = other.read_bytes() if other.exists() else None
        content = (trained / file).read_bytes()
        of = ["--weights", "retrained"] if file in retrained else []
        for way, damaged in damages(content, theirs, 1, (8,)):
            (to / file).write_bytes(damaged)
            told = message(stood("export", "t/0", *of, "--space", str(TRAINED)))
            assert str(file) in told, (file, way, told)
            (to / file).write_bytes(content)


def test_the_hash_stands_in_the_file(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", {"n": 1})
    assert set(json.loads((tmp_path / "a.json").read_text())) == {"n", HASH}
