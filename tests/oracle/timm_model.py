"""Run by the tests in a process of its own, where timm may be: a model with random weights, an input and its output.

    python timm_model.py FOLDER_OF_TIMM

reads lines of JSON and answers each by a line, `done` or what went wrong. `["draw", MODEL, SEED, OUT.safetensors]`:

Weights are drawn anew, each of a size that keeps signals alive, so that no bias, scale, statistic or table is at a
value that hides it (layer scales of 1e-5, tables of zeros). Written are they, `input` and `output`, in float64.

`["load", FILE.safetensors, OUT.safetensors]` loads a file that `nas export --names timm` wrote into the model that its
own call builds, and writes the same.
"""

import contextlib
import importlib.abc
import importlib.machinery
import json
import sys
import types
import zlib


class _Named(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Module(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _Named(name, (), {})


class Torchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """timm imports torchvision for image transforms, which no model needs: any name is there, and nothing behind it."""

    def find_spec(self, name, path=None, target=None):
        mine = name.partition(".")[0] == "torchvision"
        return importlib.machinery.ModuleSpec(name, self) if mine else None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def drawn(name, tensor, generator):
    """New values for one weight."""
    import torch

    noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
    if name.endswith("running_var"):
        return noise.abs() + 0.5
    if tensor.dim() >= 2 and not name.endswith(("attention_biases", "pos_embed")):
        return noise / tensor[0].numel() ** 0.5
    if name.endswith("gamma") or (name.endswith("weight") and tensor.dim() == 1):
        return 1 + 0.3 * noise
    return 0.3 * noise


def load(file, out):
    """Strictly, into the model of the call that the file's metadata tells."""
    import timm
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    arguments = json.loads(metadata["timm.arguments"])
    network = timm.create_model(metadata["timm.model"], **arguments)
    network.load_state_dict(state, strict=True)
    answer(network.double().eval(), json.loads(metadata["nas.input"]), 0, {}, out)


def draw(model, seed, out):
    """A model with random weights."""
    import timm
    import torch

    network = timm.create_model(model, pretrained=False).double().eval()
    state = {}
    for name, tensor in network.state_dict().items():
        generator = torch.Generator().manual_seed(seed + zlib.crc32(name.encode()))
        state[name] = drawn(name, tensor, generator) if tensor.is_floating_point() else tensor
    network.load_state_dict(state)
    kept = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    answer(network, network.default_cfg["input_size"][1:], seed, kept, out)


def answer(network, size, seed, kept, out):
    """Write two images, what the network answers, and what else is to be kept."""
    import torch
    from safetensors.torch import save_file

    images = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad(), in_double():
        save_file({**kept, "input": images, "output": network(images)}, out)


@contextlib.contextmanager
def in_double():
    """What a model computes in float32 (`.float()`, where it would else be in half precision) stays in float64."""
    import torch

    narrow = torch.Tensor.float
    torch.Tensor.float = lambda self: self if self.dtype == torch.float64 else narrow(self)
    try:
        yield
    finally:
        torch.Tensor.float = narrow


def main(folder):
    sys.path.insert(0, folder)
    sys.meta_path.append(Torchvision())
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        try:
            {"draw": draw, "load": load}[what](*arguments)
            reply = "done"
        except Exception as error:
            reply = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stdout.write(f"{reply}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
