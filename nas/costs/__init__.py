"""MACs, parameters and memory of arch batches."""

from nas.costs.columns import Column
from nas.costs.counts import cost
from nas.costs.plan import CostPlan

__all__ = ["Column", "CostPlan", "cost"]
