"""Sweeps: many studies as Ray Tune trials, each in the store like any other study."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas.errors import NasError
from nas.pipeline.plan import study_folder
from nas.pipeline.progress import Reporter
from nas.plugins.carried import Carried
from nas.plugins.compare import check_loaded
from nas.scale.cluster import LOCAL, Origin, alive, connected
from nas.scale.homes import homes
from nas.scale.sweep_file import Member, SweepFile, members
from nas.store import Storage, StudyRow

TUNE_FOLDER = Path("nas-runs") / "_sweeps"
TRACE = 0.001


@dataclass(frozen=True)
class Outcome:
    """What became of a sweep.

    Attributes:
        members: its studies, in the order of the grid.
        skipped: names of those that were finished before.
        failed: why, by name.
        unfinished: names of those that were stopped before their end.
    """

    members: list[Member]
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)

    @property
    def finished(self) -> list[Member]:
        """Studies with a result."""
        without = {*self.failed, *self.unfinished}
        return [member for member in self.members if member.name not in without]

    @property
    def groups(self) -> dict[str, list[str]]:
        """Names of the studies with a result that differ in nothing but the seed."""
        found: dict[str, list[str]] = {}
        for member in self.finished:
            found.setdefault(member.group, []).append(member.name)
        return found


def sweep(
    file: SweepFile,
    reporter: Reporter,
    *,
    address: str = LOCAL,
    storage: str | None = None,
    concurrent: int | None = None,
) -> Outcome:
    """Run every study of a sweep that is not finished yet; interrupted ones are resumed.

    Args:
        address: of the Ray cluster; see `nas.scale.cluster.connected`.
        storage: URL of the store, the only thing that studies share.
        concurrent: largest number of studies at once; as many as resources allow by default.

    Raises:
        NasError: a wrong sweep, no cluster, or a storage that other machines cannot reach.
    """
    store = Storage(storage)
    every = members(file)
    known = {study.name: study for study in store.studies()}
    _check_same(file, every, known)
    states = {name: study.state for name, study in known.items()}
    skipped = [member.name for member in every if states.get(member.name) == "finished"]
    todo = [member for member in every if member.name not in skipped]
    reporter.say(f"sweep {file.name}: {len(every)} studies, {len(skipped)} of them finished before")
    if not todo:
        return Outcome(every, skipped)
    _check_plans(todo)
    with connected(address) as ray:
        _check_reach(ray, store, file, address)
        each = f"{file.resources.cpu:g} CPU" + (f", {file.resources.gpu:g} GPU" if file.resources.gpu else "")
        total = ray.cluster_resources().get("CPU", 0)
        reporter.say(f"{each} for each study; the cluster has {total:g} CPU on {len(alive(ray))} machine(s)")
        at = _places(ray, file, todo, known, reporter)
        failed = _tune(file, todo, store, reporter, concurrent, at)
    _close(store, todo)
    finished = {study.name for study in store.studies() if study.state == "finished"}
    unfinished = [m.name for m in every if m.name not in finished and m.name not in failed]
    return Outcome(every, skipped, failed, unfinished)


def _places(
    ray: Any, file: SweepFile, todo: list[Member], known: Mapping[str, StudyRow], reporter: Reporter
) -> dict[str, str]:
    """Addresses of the machines that studies are tied to, by name."""
    begun = [member.name for member in todo if member.name in known]
    at, weights = homes(ray, begun, file.run.supernet, Origin.here())
    for name, machine in at.items():
        reporter.say(f"{name} goes on at {machine}, where its files are")
    if weights is None:
        return at
    reporter.say(f"all others run at {weights}, where the weights of {file.run.supernet!r} are")
    return {**{member.name: weights for member in todo}, **at}


def _check_plans(todo: list[Member]) -> None:
    """Plan one study of each kind, so that a wrong value of the grid is told here and before anything runs."""
    from nas.pipeline.run import planned

    for member in {member.group: member for member in reversed(todo)}.values():
        try:
            planned(**member.arguments, study_name=member.name)
        except NasError as error:
            raise NasError(f"study {member.name!r} of the sweep: {error}") from None


def _close(store: Storage, members: list[Member]) -> None:
    """Studies whose process was stopped with the sweep could not say so themselves."""
    names = {member.name for member in members}
    for study in store.studies():
        if study.name in names and study.state in ("running", "lost"):
            store.set_state(study.id, "interrupted")


def _check_same(file: SweepFile, every: list[Member], known: Mapping[str, StudyRow]) -> None:
    """Refuse studies of these names that were run with other arguments: their results are not this sweep's."""
    for member in every:
        study = known.get(member.name)
        if study is not None and not str(study.facts.get("command", "")).endswith(member.digest):
            raise NasError(
                f"study {member.name!r} is in {file.name!r}'s storage already, run with other arguments than the "
                "file has now. Give the sweep another name, or another --storage."
            )
        if study is not None:
            check_loaded(study.name, study.facts, study_folder(study.name), "of the sweep cannot be taken")


def _check_reach(ray: Any, store: Storage, file: SweepFile, address: str) -> None:
    nodes = alive(ray)
    hosts = {node.get("NodeManagerHostname") for node in nodes}
    hosts |= {socket.gethostname()} if address.startswith("ray://") else set()
    if store.url.startswith("sqlite") and len(hosts) > 1:
        raise NasError(
            f"{len(hosts)} machines cannot share {store.url}. Give a storage that all of them reach: "
            "--storage postgresql+psycopg://USER@HOST/DATABASE."
        )
    for name, wanted in (("CPU", file.resources.cpu), ("GPU", file.resources.gpu)):
        largest = max((node["Resources"].get(name, 0) for node in nodes), default=0)
        if wanted > largest:
            raise NasError(
                f"each study of the sweep takes {wanted:g} {name}, but the largest machine of the cluster has "
                f"{largest:g}. Change 'resources' in the sweep's file."
            )


def _tune(
    file: SweepFile,
    todo: list[Member],
    store: Storage,
    reporter: Reporter,
    concurrent: int | None,
    at: Mapping[str, str],
) -> dict[str, str]:
    # Without this, Tune moves each study into a folder of its own, away from nas-runs/ and relative paths.
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    from ray import tune

    from nas.scale.told import Told

    work = {
        "url": store.address,
        "origin": Origin.here(),
        "threads": max(int(file.resources.cpu), 1),
        "plugins": Carried.of(None),
        "members": {member.name: (member.arguments, member.digest) for member in todo},
    }
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_study, work=work), _occupied(file, at)),
        param_space={"name": tune.grid_search([member.name for member in todo])},
        tune_config=tune.TuneConfig(max_concurrent_trials=concurrent, reuse_actors=False),
        run_config=tune.RunConfig(
            name=study_folder(file.name).name,
            storage_path=str(TUNE_FOLDER.resolve()),
            verbose=0,
            callbacks=[Told(reporter, len(todo), at)],
        ),
    )
    results = tuner.fit()
    failed = {}
    for result in results:
        name = str((result.config or {}).get("name"))
        error = (result.metrics or {}).get("failed") or (str(result.error) if result.error else None)
        if error:
            failed[name] = error.strip().splitlines()[-1]
    return failed


def _occupied(file: SweepFile, at: Mapping[str, str]) -> Callable[[dict[str, Any]], Any]:
    """What a study takes, and a trace of the machine that it has to run on."""
    from ray.tune import PlacementGroupFactory

    each = {"CPU": file.resources.cpu, "GPU": file.resources.gpu}

    def of(config: dict[str, Any]) -> Any:
        name = config["name"]
        return PlacementGroupFactory([{**each, f"node:{at[name]}": TRACE} if name in at else each])

    return of


def _study(config: dict[str, Any], work: dict[str, Any]) -> dict[str, Any]:
    """One study, on the machine Ray chose for it; relative paths mean the driver's where it is this machine."""
    from nas.pipeline.run import run

    work["origin"].enter()
    work["plugins"].open()
    name = config["name"]
    given, digest = work["members"][name]
    arguments = dict(given)
    known = {study.name: study for study in Storage(work["url"]).studies()}
    threads = work["threads"]
    if name in known:  # its results depend on the number it began with, whatever is reserved for it now
        threads = known[name].config["settings"]["threads"]
    arguments["settings"] = [f"threads={threads}", *arguments["settings"]]
    try:
        study = run(
            **arguments,
            study_name=name,
            storage=work["url"],
            resume=name in known,
            command=["nas", "sweep", name, digest],
        )
    except NasError as error:
        return {"failed": str(error), "hypervolume": float("nan")}
    volume = study.hypervolume()
    return {"failed": None, "hypervolume": float("nan") if volume is None else volume}
