"""By which network the processes of a training reach each other."""

from __future__ import annotations

import os
from typing import Any


def torch_config(backend: str) -> Any:
    """Ray Train's set-up of PyTorch's process group, over the network of the cluster.

    By itself gloo takes the network of the machine's own name, on many systems the loopback.

    Args:
        backend: `gloo` or `nccl`.
    """
    from ray.train.torch import TorchConfig

    usual = TorchConfig().backend_cls

    class Reaching(usual):  # type: ignore[misc, valid-type]
        def on_start(self, worker_group: Any, backend_config: Any) -> None:
            worker_group.execute(use_cluster_network)
            super().on_start(worker_group, backend_config)

    class Config(TorchConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type:
            return Reaching

    return Config(backend=backend)


def use_cluster_network() -> None:
    """Have gloo use the network interface by which the cluster knows this machine, unless another is set."""
    import ray

    interface = interface_of(ray.util.get_node_ip_address())
    if interface is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)


def interface_of(address: str) -> str | None:
    """Name of this machine's network interface with an IP address; None: it has none."""
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == address for one in addresses):
            return str(name)
    return None
