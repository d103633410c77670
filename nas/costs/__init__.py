"""MACs, parameters and memory of arch batches."""

from nas.costs.counts import cost
from nas.costs.plan import Column, CostPlan

__all__ = ["Column", "CostPlan", "cost"]
