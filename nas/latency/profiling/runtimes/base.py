"""What a runtime must offer, and the list of them."""

from __future__ import annotations

import inspect
import textwrap
from abc import ABC, abstractmethod
from importlib import import_module, metadata
from typing import TYPE_CHECKING, ClassVar

from nas.errors import NasError, unprovided

if TYPE_CHECKING:
    from torch import Tensor, nn


class Runtime(ABC):
    """A runtime as seen by who exports models for it; what runs them is in `nas.latency.profiling.timer`.

    Subclasses are never instantiated; they are tables of functions.

    Attributes:
        name: as the user writes it and `device.yaml` states it.
        suffix: of its model files.
        requires: packages that exporting needs, beside torch.
        binary: its own benchmark program, for devices without Python; empty if it has none.
        batch: images of one run.
        trains: whether a run is a training step: models are then in their trained form, with all branches and norms.
        runner: class that runs its files on the device, beside `nas.latency.profiling.timer` and by means of what
            stands in that file: made with a number of threads, it has the runtime's `version` and a method
            `load(data, shape) -> Loaded`. Its source text is sent, so it imports what it needs inside its methods.
            None: the timer has it.
    """

    name: ClassVar[str]
    suffix: ClassVar[str]
    requires: ClassVar[tuple[str, ...]]
    binary: ClassVar[str] = ""
    batch: ClassVar[int] = 1
    trains: ClassVar[bool] = False
    runner: ClassVar[type | None] = None

    @classmethod
    def version(cls) -> str:
        """Version of the runtime installed here.

        Raises:
            NasError: it, or what exporting needs, is not installed; says how to.
        """
        try:
            for package in cls.requires:
                metadata.version(package)
        except metadata.PackageNotFoundError as error:
            raise NasError(
                f"the runtime {cls.name!r} needs {', '.join(cls.requires)}; {error.name} is not installed. "
                f"Install them: pip install 'nas[{cls.name}]'"
            ) from None
        return metadata.version(cls.name)

    @classmethod
    @abstractmethod
    def export(cls, module: nn.Module, example: Tensor) -> bytes:
        """The model file of a module, for inputs of the shape of `example`.

        Args:
            module: at eval; in training mode for a runtime that trains. Run at least once on `example` before, so
                that what it caches is there.
            example: float32, as many images as the runtime's batch; that of a unit wants a gradient where the
                runtime trains.
        """


def runtime_of(name: str) -> type[Runtime]:
    """A runtime by name.

    Raises:
        NasError: there is none of that name.
    """
    if name not in RUNTIMES:
        raise NasError(unprovided("runtime", name, RUNTIMES))
    registered = RUNTIMES[name]
    if registered is not None:
        return registered
    built_in: type[Runtime] = import_module(f"nas.latency.profiling.runtimes.{name}_runtime").RUNTIME
    return built_in


def runner_source(name: str) -> dict[str, str]:
    """What the timer must be sent to run a runtime's files: name and source text of a class; nothing if it has it.

    Raises:
        NasError: the text of the class cannot be read.
    """
    runner = runtime_of(name).runner
    if runner is None:
        return {}
    try:
        return {"runner": runner.__name__, "source": textwrap.dedent(inspect.getsource(runner))}
    except (OSError, TypeError) as error:
        raise NasError(f"runtime {name!r}: the text of its runner cannot be read: {error}.") from None


RUNTIMES: dict[str, type[Runtime] | None] = {
    "onnxruntime": None,
    "executorch": None,
    "torch": None,
    "training": None,
}
"""By name; None: in a module of its own here, imported when it is used."""
