"""MACs, parameters and memory of arch batches."""

from nas.cost.counts import cost
from nas.cost.plan import Column, CostPlan

__all__ = ["Column", "CostPlan", "cost"]
