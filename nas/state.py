"""Generator states as plain data, for checkpoints."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def generator_state(rng: np.random.Generator) -> str:
    """State of a numpy generator as JSON text (its integers are too big for tensors)."""
    return json.dumps(rng.bit_generator.state)


def restore_generator(rng: np.random.Generator, state: Any) -> None:
    """Put a numpy generator back into a state from `generator_state`."""
    rng.bit_generator.state = json.loads(state)
