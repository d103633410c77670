"""The exporter: a process that writes model files; several export at once, and each pays for its imports once.

Reads one JSON object per line: `{"plugin": {…}}` for a plug-in to load first, `{"path": …, "signature": …}` for a unit,
`{"path": …, "space": …, "arch": {…}}` for a network. Started as `python -m nas.latency.profiling.exporter RUNTIME`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from nas.files import write_atomically
from nas.latency.profiling.runtimes.base import runtime_of
from nas.plugins.carried import CarriedPlugin
from nas.space.batch import Arch
from nas.space.load import load_space
from nas.space.space import Space


def export(runtime: str, request: dict[str, Any]) -> dict[str, Any]:
    """Write the model file that a request asks for; its input's shape is the answer. Or load a plug-in."""
    import torch

    if "plugin" in request:
        CarriedPlugin.from_json(request["plugin"]).load()
        return {}
    from nas.latency.profiling.modules import network_model, unit_model

    torch.set_num_threads(1)
    made_for = runtime_of(runtime)
    if "signature" in request:
        model = unit_model(request["signature"], runtime=made_for)
    else:
        space = _space(request["space"])
        model = network_model(space, Arch(space, request["arch"]), runtime=made_for)
    with torch.no_grad():
        model.module(model.example)
    content = made_for.export(model.module, model.example)
    write_atomically(Path(request["path"]), content)
    return {"shape": list(model.example.shape)}


@lru_cache(maxsize=4)
def _space(name_or_path: str) -> Space:
    return load_space(name_or_path)


def main() -> None:
    """Export until there are no more requests."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    gc.disable()  # an export makes millions of objects that live until it ends: scanning them again is for nothing
    for line in sys.stdin:
        try:
            answer = {"ok": True, **export(sys.argv[1], json.loads(line))}
        except Exception as error:
            answer = {"ok": False, "error": f"{type(error).__name__}: {str(error)[:2000]}"}
        answers.write(json.dumps(answer) + "\n")
        gc.collect()


if __name__ == "__main__":
    main()
