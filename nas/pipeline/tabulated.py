"""The cheap metrics of a run as sums of tables, or why they are none."""

from __future__ import annotations

from nas.costs.counts import plan_for
from nas.costs.plan import CostPlan
from nas.costs.registered import METRICS, plan_of
from nas.errors import NasError
from nas.latency.plan import latency_plan
from nas.pipeline.metrics import CheapMetrics
from nas.search.objective import Constraint, Objective
from nas.search.programme import Allowed
from nas.search.tabulated import Tabulated
from nas.space.batch import ArchBatch

COUNTED = ("macs", "params", "train_params")


def tabulated(
    metrics: CheapMetrics,
    objectives: list[Objective] | tuple[Objective, ...],
    constraints: list[Constraint] | tuple[Constraint, ...],
    pool: ArchBatch | None = None,
) -> Tabulated:
    """Costs of the objectives and constraints that follow from the architecture, and the limits on them.

    Raises:
        NasError: one of them is no sum over layers, or only some architectures can be evaluated; says which.
    """
    if metrics.space.blueprint is None or pool is not None:
        raise NasError(_refused("only the architectures of its tables can be evaluated"))
    cheap = [constraint for constraint in constraints if constraint.cheap]
    ceilings = [constraint for constraint in cheap if _largest(constraint)]
    summed = [constraint for constraint in cheap if constraint not in ceilings]
    names = dict.fromkeys(
        [objective.metric for objective in objectives if objective.cheap] + [c.metric for c in summed]
    )
    sums = {name: _plan(metrics, name).apart.tables(name.split("@")[0]) for name in names}
    limits: dict[str, tuple[float, float]] = {}
    for constraint in summed:
        low, high = limits.get(constraint.metric, (-float("inf"), float("inf")))
        upper, bound = constraint.upper, constraint.bound
        limits[constraint.metric] = (low, min(high, bound)) if upper else (max(low, bound), high)
    allowed = [table for constraint in ceilings for table in _below(metrics, constraint)]
    return Tabulated(sums, limits, allowed)


def _largest(constraint: Constraint) -> bool:
    """Whether it bounds the largest of all layers from above, and so each of them."""
    registered = METRICS.get(constraint.metric)
    return constraint.upper and (
        constraint.metric == "memory" or (registered is not None and registered.combine == "max")
    )


def _below(metrics: CheapMetrics, constraint: Constraint) -> list[Allowed]:
    plan = plan_for(metrics.space) if constraint.metric == "memory" else plan_of(metrics.space)
    _check_tables(plan)
    return [(scope, table <= constraint.bound) for scope, table in plan.apart.tables(constraint.metric)]


def _plan(metrics: CheapMetrics, name: str) -> CostPlan:
    """The plan of which a metric is a sum.

    Raises:
        NasError: there is none.
    """
    devices = dict(zip(metrics.latency_names, metrics.devices))
    if name in COUNTED:
        plan = plan_for(metrics.space)
    elif name in METRICS and METRICS[name].combine == "sum":
        plan = plan_of(metrics.space)
    elif name in devices:
        device = devices[name]
        if device.units.residual is not None:
            raise NasError(
                _refused(
                    f"{device.name} corrects the latency of whole networks, which is then no sum over layers"
                )
            )
        plan = latency_plan(device.units, metrics.space)
    elif name == "latency":
        raise NasError(_refused("latencies of a measured table are no sums over layers"))
    else:
        raise NasError(
            _refused(f"{name} is no sum over layers, but the largest of them; it can be bounded, {name}<=…")
        )
    _check_tables(plan)
    return plan


def _check_tables(plan: CostPlan) -> None:
    if plan.has_direct:
        raise NasError(_refused("some of its layers depend on too many decisions to be tabulated"))


def _refused(why: str) -> str:
    return (
        f"exact solves integer programmes over tables of costs, which this run has not: {why}. Choose another "
        "strategy, e.g. predictor or nsga2."
    )
