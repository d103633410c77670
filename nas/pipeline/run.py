"""A whole run: plan, supernet, search, final numbers, report."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.errors import NasError
from nas.latency.device import Device
from nas.pipeline.evaluating import (
    Evaluator,
    NoEvaluator,
    TableEvaluator,
    supernet_evaluator,
    supernet_probing,
)
from nas.pipeline.facts import data_facts, deviations, spread
from nas.pipeline.finishing import finish
from nas.pipeline.job import UP_TO_CHECKPOINT
from nas.pipeline.ladder import climb
from nas.pipeline.lock import heard_from, only_run
from nas.pipeline.looking import Looking
from nas.pipeline.opening import check_name, check_there, open_study
from nas.pipeline.plan import RunPlan, check_feasible, make_plan, study_folder
from nas.pipeline.pool import LocalPool, Pool
from nas.pipeline.progress import Interrupt, Reporter, Silent
from nas.pipeline.searching import Search
from nas.pipeline.stopping import End, Stopped
from nas.pipeline.supernet_card import trained_on
from nas.pipeline.training import (
    Interrupted,
    TrainedSupernet,
    check_card,
    check_kept,
    obtain,
    set_threads,
)
from nas.pipeline.verdicts import (
    few_images,
    judge_chance,
    judge_images,
    judge_looks,
    judge_predictor,
    sampler_warnings,
)
from nas.plugins.loading import load_all
from nas.settings import WITH_INIT, assigned, make_settings
from nas.space.load import load_space
from nas.space.space import Space
from nas.store import Storage, StudyRow, StudyState
from nas.study import Study

if TYPE_CHECKING:
    from nas.latency.profiling.known_device import Reach
    from nas.pipeline.load_data import LoadedData
    from nas.scale.workers import Workers


def run(
    space: str | Path | Space,
    *,
    device: str | Device | Sequence[str | Device] = (),
    recipe: str = "embedded",
    settings: Sequence[str] = (),
    objectives: Sequence[str] = (),
    constraints: Sequence[str] = (),
    requirements: Sequence[str] = (),
    accuracy: str = "supernet",
    latency: str | None = None,
    supernet: str | None = None,
    init: str | None = None,
    warm_start: Sequence[str] = (),
    enqueue: Sequence[str | Mapping[str, Any]] = (),
    data: str | None = None,
    strategy: str | None = None,
    n_trials: int | None = None,
    seed: int | None = None,
    study_name: str | None = None,
    storage: str | None = None,
    resume: bool = False,
    timeout: float | None = None,
    report: bool = True,
    command: Sequence[str] = (),
    verbose: bool = False,
    reporter: Reporter | None = None,
    workers: Workers | None = None,
    measured: Reach | None = None,
    plugins: Sequence[str | Path] = (),
) -> Study:
    """Search a space: train (or take) a supernet, search, re-evaluate the front, store, report.

    Args:
        space: a name, a path or a loaded space.
        device: one device or several; without one the cost objective is MACs.
        recipe: `embedded` or `paper`.
        settings: assignments as of `--set`, e.g. `["train.steps=100"]`.
        objectives: e.g. `["accuracy:max", "latency:min"]`.
        constraints: e.g. `["latency<=20ms"]`; `requirements` are named ones of the space.
        accuracy, latency: `table:FILE.csv#COLUMN` for measured architectures.
        supernet: name of a study whose trained weights are used.
        init: weights from elsewhere that the supernet begins with: a path, or `timm:NAME`.
        warm_start: names of studies whose fronts are evaluated first.
        enqueue: networks that are evaluated first: `STUDY/NUMBER`, a YAML file of decisions, or values by decision.
        resume: continue the study of that name.
        timeout: seconds after which no further batch is begun.
        command: how the run was started, for its facts.
        verbose: tell all settings.
        reporter: told what happens; silent by default.
        workers: Ray workers that evaluate candidates; None evaluates them here, one at a time.
        measured: time the front on its device at the end, which is reached this way; None: do not.
        plugins: files or modules with blocks, strategies, … of your own, loaded first; see `nas.plugins`.

    Returns:
        The finished study.

    Raises:
        NasError: what was wrong and what would be right.
        Stopped: by a signal, a KeyboardInterrupt; says what is saved, once there is a study.
    """
    load_all(plugins)
    plan, source = planned(
        space,
        device=device,
        recipe=recipe,
        settings=settings,
        objectives=objectives,
        constraints=constraints,
        requirements=requirements,
        accuracy=accuracy,
        latency=latency,
        supernet=supernet,
        init=init,
        warm_start=warm_start,
        enqueue=enqueue,
        data=data,
        strategy=strategy,
        n_trials=n_trials,
        seed=seed,
        study_name=study_name,
        storage=storage,
    )
    return execute(
        plan,
        source,
        resume=resume,
        timeout=timeout,
        report=report,
        command=command,
        verbose=verbose,
        reporter=reporter,
        workers=workers,
        measured=measured,
    )


def planned(
    space: str | Path | Space,
    *,
    device: str | Device | Sequence[str | Device] = (),
    recipe: str = "embedded",
    settings: Sequence[str] = (),
    objectives: Sequence[str] = (),
    constraints: Sequence[str] = (),
    requirements: Sequence[str] = (),
    accuracy: str = "supernet",
    latency: str | None = None,
    supernet: str | None = None,
    init: str | None = None,
    warm_start: Sequence[str] = (),
    enqueue: Sequence[str | Mapping[str, Any]] = (),
    data: str | None = None,
    strategy: str | None = None,
    n_trials: int | None = None,
    seed: int | None = None,
    study_name: str | None = None,
    storage: str | None = None,
) -> tuple[RunPlan, str]:
    """What `run` with these arguments would do, and the name or file of its space. Nothing is written.

    Raises:
        NasError: what was wrong and what would be right.
    """
    loaded = space if isinstance(space, Space) else load_space(space)
    direct = _assignments(
        objectives=list(objectives), constraints=list(constraints), seed=seed, n_trials=n_trials
    )
    if data is None and supernet is not None:
        data = trained_on(study_folder(supernet))
    texts = {"data.spec": data, "search.strategy": strategy}
    named = [assigned(key, text) for key, text in texts.items() if text is not None]
    given = loaded.recipes.get(WITH_INIT, {}) if init is not None else {}
    layers = [loaded.recipes.get(recipe, {}), given, direct]
    chosen = make_settings(recipe, layers, [*named, *settings])
    devices = [device] if isinstance(device, (str, Device)) else list(device)
    plan = make_plan(
        loaded,
        chosen,
        devices=devices,
        accuracy=accuracy,
        latency=latency,
        requirements=requirements,
        supernet=supernet,
        init=init,
        warm_start=warm_start,
        enqueue=enqueue,
        name=study_name,
        storage=storage,
    )
    return plan, loaded.name if isinstance(space, Space) else str(space)


def execute(
    plan: RunPlan,
    source: str,
    *,
    resume: bool = False,
    timeout: float | None = None,
    report: bool = True,
    command: Sequence[str] = (),
    verbose: bool = False,
    reporter: Reporter | None = None,
    workers: Workers | None = None,
    measured: Reach | None = None,
    trials: int | None = None,
) -> Study:
    """Do what a plan says; see `run`.

    Args:
        source: name or file the plan's space was read from.
        trials: after which no further batch of trials is begun, where the run repeats one that its timeout ended.
    """
    reporter, started = reporter or Silent(), time.monotonic()
    check_feasible(plan)
    check_there(plan, resume)
    if measured is not None:
        from nas.pipeline.measuring import check_measurable

        check_measurable(plan, source, measured, reporter)
    set_threads(plan.settings)
    loaded_data = _data(plan)
    if loaded_data is not None and not resume:  # a study that goes on has the images it began with
        loaded_data.check(reporter)
    end = End(None if timeout is None else started + timeout, trials)
    with ExitStack() as stack:
        if workers is not None:
            stack.enter_context(_cluster(workers, loaded_data))
        store = Storage(plan.storage)
        check_name(plan, store, resume)
        stack.enter_context(only_run(plan.folder, plan.name))
        interrupt = stack.enter_context(Interrupt())
        study = open_study(plan, source, loaded_data, store, resume, command, reporter)
        stack.enter_context(heard_from(store))
        if workers is not None:
            store.add_facts(study.id, {"workers": spread(workers)})
        _announce(plan, reporter, study)
        _say_settings(plan, loaded_data is not None, verbose, reporter)
        with _state_told(store, study, interrupt):
            _work(plan, loaded_data, store, study, reporter, interrupt, end, started, workers)
        try:
            if measured is not None:
                from nas.pipeline.measuring import measure_front

                measure_front(plan, source, measured, store, reporter, lambda: interrupt.asked)
        except BaseException as error:
            if report:
                _report_in_spite(plan, store, reporter)
            if isinstance(error, KeyboardInterrupt):
                raise Stopped(str(error), interrupt.number) from None
            raise
        if report:
            _report(plan, store, reporter)
    return Study(store, plan.name)


@contextmanager
def _state_told(store: Storage, study: StudyRow, interrupt: Interrupt) -> Iterator[None]:
    """However the work ends, the storage says so, unless another process has taken the study over."""
    state: StudyState = "failed"
    try:
        yield
        return
    except (Interrupted, KeyboardInterrupt) as stopped:
        state = "interrupted"
        raise Stopped(
            str(stopped) or UP_TO_CHECKPOINT, getattr(stopped, "number", interrupt.number)
        ) from None
    finally:
        if sys.exc_info()[0] is not None and store.runs(study.id):
            store.set_state(study.id, state)


@contextmanager
def _cluster(workers: Workers, data: LoadedData | None) -> Iterator[None]:
    """Ray from before there is a study until its end, so that a cluster that is not there costs nothing.

    Raises:
        NasError: no cluster, one too small, or nothing that workers could do.
    """
    from nas.scale.cluster import connected
    from nas.scale.workers import check_room

    if data is None:
        raise NasError("--ray: this run evaluates no networks, so there is nothing for workers to do.")
    with connected(workers.address, option="--ray") as ray:
        check_room(ray, workers)
        yield


def _assignments(**given: Any) -> dict[str, Any]:
    layer: dict[str, Any] = {}
    for key, value in given.items():
        if value is None or value == []:
            continue
        if key == "n_trials":
            layer["search"] = {"n_trials": value}
        else:
            layer[key] = value
    return layer


def _announce(plan: RunPlan, reporter: Reporter, study: StudyRow) -> None:
    size, exact = plan.space.size()
    reporter.say(f"space {plan.space.name}: {'' if exact else 'about '}{size:,} architectures")
    for device in plan.metrics.devices:
        reporter.say(f"device {device.describe()}")
    for remark in plan.remarks:
        reporter.say(remark)
    goals = ", ".join(str(objective) for objective in plan.objectives)
    bounds = "".join(f", {constraint.text}" for constraint in plan.constraints)
    reporter.say(f"study {study.name}: {goals}{bounds}")


def _say_settings(plan: RunPlan, trains: bool, verbose: bool, reporter: Reporter) -> None:
    """All settings and where they differ from a paper's; how many differ where that was not asked for."""
    changed = deviations(plan.settings, plan.space) if trains and not plan.keeps else []
    if verbose:
        reporter.say(plan.settings.model_dump_json(indent=1))
        for key, paper, here, why in changed:
            reporter.say(
                f"  differs from the recipe 'paper': {key} {paper} -> {here}{f' ({why})' if why else ''}"
            )
    elif changed:
        reporter.say(f"{len(changed)} settings differ from the recipe 'paper'; -v and the report list them")


def _data(plan: RunPlan) -> LoadedData | None:
    """The data, and a look at weights to be reused, before the study's name is taken."""
    if plan.accuracy_table is not None or not plan.wants_accuracy:
        return None
    from nas.pipeline.load_data import load_run_data

    data = load_run_data(plan)
    if plan.supernet is not None:
        check_card(plan, study_folder(plan.supernet), data)
    if plan.keeps:
        check_kept(plan, data)
    return data


def _work(
    plan: RunPlan,
    data: LoadedData | None,
    store: Storage,
    study: StudyRow,
    reporter: Reporter,
    interrupt: Interrupt,
    end: End,
    started: float,
    workers: Workers | None,
) -> None:
    phases: dict[str, float] = {}
    trained = _trained(plan, data, store, study, reporter, interrupt, workers)
    evaluator, classes = _evaluator(plan, data, trained), None if data is None else data.classes
    phases["supernet"] = time.monotonic() - started
    with _pool(plan, trained, evaluator, workers, reporter) as pool:
        search = Search(plan, pool, store, study.id, end)
        probing = None if trained is None or data is None else supernet_probing(plan, trained, data)
        looking = None if trained is None else Looking(pool.look, plan.objectives)
        search.prepare(trained.importance if trained is not None else {}, probing, looking, classes)
        progress = search.run(reporter, interrupt)
    phases["search"] = progress.wall_s
    search.check_found()
    if data is not None:
        judge_images(search, data, store, study, reporter)
    judge_looks(store, study, reporter)
    judge_predictor(search, store, study, reporter)
    begun = time.monotonic()
    finish(plan, evaluator, store, study.id, reporter, interrupt)
    judge_chance(classes, store, study, reporter)
    phases["final"] = time.monotonic() - begun
    if trained is not None:
        climb(plan, search.strategy, store, reporter, interrupt)
    lines = [device.describe() for device in plan.metrics.devices]
    ended = progress.trials if search.ended_early else None
    store.add_facts(study.id, {"wall_s": phases, "devices": lines, "ended_early": ended})
    store.set_state(study.id, "finished")


def _evaluator(plan: RunPlan, data: LoadedData | None, trained: TrainedSupernet | None) -> Evaluator:
    if plan.accuracy_table is not None:
        return TableEvaluator(plan.accuracy_table)
    if data is None or trained is None:
        return NoEvaluator()
    return supernet_evaluator(plan, trained, data)


@contextmanager
def _pool(
    plan: RunPlan,
    trained: TrainedSupernet | None,
    evaluator: Evaluator,
    workers: Workers | None,
    reporter: Reporter,
) -> Iterator[Pool]:
    if workers is None:
        yield LocalPool(evaluator)
        return
    assert trained is not None  # `_cluster` has seen to it
    from nas.scale.workers import ray_pool

    with ray_pool(plan, trained, evaluator, workers, reporter) as pool:
        yield pool


def _trained(
    plan: RunPlan,
    data: LoadedData | None,
    store: Storage,
    study: StudyRow,
    reporter: Reporter,
    interrupt: Interrupt,
    workers: Workers | None,
) -> TrainedSupernet | None:
    if data is None:
        return None
    reporter.say(
        f"data {data.name}: {data.count('train'):,} training, {data.count('search'):,} search and "
        f"{data.count('test'):,} test images, {data.classes} classes"
    )
    uneven = data.uneven()
    for warning in uneven:
        reporter.warn(warning)
    uneven += few_images(data, plan.settings, reporter)
    changed = [] if plan.keeps else deviations(plan.settings, plan.space)
    trained = obtain(plan, data, store, study.id, reporter, interrupt, workers)
    facts = {
        "sampler": trained.card["sampler"],
        "deviations": changed,
        "data": data_facts(data),
        "warnings": [
            *uneven,
            *trained.card["warnings"],
            *sampler_warnings(trained.card["sampler"], reporter),
        ],
    }
    store.add_facts(study.id, facts)
    return trained


def _report(plan: RunPlan, store: Storage, reporter: Reporter) -> None:
    from nas.report import write_report

    path = write_report(store, plan.name, plan.folder / "report.html")
    reporter.say(f"report: {path}")


def _report_in_spite(plan: RunPlan, store: Storage, reporter: Reporter) -> None:
    """A report after an error, which is not to be replaced by the report's own."""
    try:
        _report(plan, store, reporter)
    except Exception as error:
        reporter.warn(f"no report was written: {error}")
