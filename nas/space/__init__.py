"""Search spaces: decisions, rules, arch batches and lowering."""

from nas.space.batch import Arch, ArchBatch, concatenate
from nas.space.decision import Decision
from nas.space.load import load_space
from nas.space.space import Space

__all__ = ["Arch", "ArchBatch", "Decision", "Space", "concatenate", "load_space"]
