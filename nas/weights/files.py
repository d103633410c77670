"""Files of weights: safetensors, or PyTorch's own read without unpickling anything but tensors; and timm's names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from nas.errors import NasError

if TYPE_CHECKING:
    from torch import Tensor

TORCH = (".pth", ".pt", ".bin")
MEAN_KEY, STD_KEY = "nas.mean", "nas.std"
"""In a file's metadata: how the images of its network are normalised, by channel."""
_WRAPPERS = ("state_dict", "state_dict_ema", "model_ema", "model_state", "model")
_PREFIX = "module."  # of a network that PyTorch's DataParallel wrapped


@dataclass(frozen=True)
class WeightFile:
    """Weights by their names in a file.

    Attributes:
        name: of the file without its folder, or `timm:NAME`.
        sha256: of the file, or of timm's weights.
        metadata: of a safetensors file.
        prefix: before every name in the file, taken off here.
    """

    name: str
    sha256: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""


def read_weights(text: str) -> WeightFile:
    """Weights from `FILE.safetensors`, `FILE.pth` (`.pt`, `.bin`) or `timm:NAME`.

    Raises:
        NasError: no such file, not a file of weights, or one that would have to be unpickled; no timm here, no such
            model there, or no network to load its weights.
    """
    if text.startswith("timm:"):
        return _from_timm(text)
    path = Path(text).expanduser()
    if not path.is_file():
        raise NasError(
            f"{text}: no such file; --init takes FILE.safetensors, a .pth file of weights, or timm:NAME."
        )
    if path.suffix != ".safetensors" and path.suffix not in TORCH:
        raise NasError(
            f"{text}: weights are read from .safetensors or from {', '.join(TORCH)}, not {path.suffix!r}."
        )
    tensors, metadata = _safetensors(path) if path.suffix == ".safetensors" else (_torch(path), {})
    if not tensors:
        raise NasError(f"{text}: there are no weights in it.")
    prefix = _PREFIX if all(name.startswith(_PREFIX) for name in tensors) else ""
    plain = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    return WeightFile(path.name, file_digest(path), plain, metadata, prefix)


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise NasError(f"{path}: not a safetensors file: {error}.") from None


def _torch(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch, pickle and zip raise errors of many kinds for one broken file
        refused = isinstance(error, UnpicklingError)  # PyTorch's own words speak of turning the check off
        what = (
            "it holds more than tensors, or is damaged"
            if refused
            else "it is damaged, or no file of PyTorch's"
        )
        raise NasError(
            f"{path}: not a file of plain weights, and nothing else is unpickled here: {what}. Save its state_dict "
            "alone, as safetensors."
        ) from None
    return _unwrapped(path, content)


def _unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    import torch

    while isinstance(content, Mapping):
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping):
        raise NasError(f"{path}: a mapping of names to tensors is needed, not {type(content).__name__}.")
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _from_timm(text: str) -> WeightFile:
    name = text.removeprefix("timm:").strip()
    if not name:
        raise NasError(
            f"{text!r}: the name is empty; write timm:NAME with the name of one of timm's models, e.g. "
            "timm:efficientformer_l1."
        )
    try:
        import timm
    except ImportError:
        raise NasError(
            f'{text}: timm is not installed: pip install "nas[timm]". Or download the file of weights and give it with '
            "--init FILE.safetensors."
        ) from None
    if not timm.is_model(name):
        raise NasError(f"{text}: timm {timm.__version__} has no model of that name.")
    try:
        model = timm.create_model(name, pretrained=True)
    except Exception as error:  # of the hub's client, of its HTTP library, of the file system
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise NasError(
            f"{text}: timm could not load its weights: {reason[0]} Without a network, download the file of weights "
            "elsewhere and give it with --init FILE.safetensors."
        ) from None
    tensors = {key: value.detach() for key, value in model.state_dict().items()}
    given = getattr(model, "pretrained_cfg", {})  # one name has weights for images normalised in several ways
    keys = ((MEAN_KEY, "mean"), (STD_KEY, "std"))
    normal = {key: json.dumps(list(given[name])) for key, name in keys if name in given}
    return WeightFile(text, tensors_digest(tensors), tensors, normal)


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names and values, in the names' order."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        data = tensors[name].contiguous().flatten().view(torch.uint8).cpu().numpy()
        digest.update(name.encode() + data.tobytes())
    return digest.hexdigest()
