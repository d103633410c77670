"""Run by the tests in a process of its own, where Once-for-all's code may be: its supernets with random weights.

    python ofa_model.py FOLDER_OF_OFA

reads lines of JSON and answers each by a line, `done` or what went wrong. `["supernet", WIDTH, SEED, OUT.pth, NAMES]`
draws a supernet and saves its weights as the authors' files have them, under `new` or `old` names;
`["answer", {ks, e, d, side}, OUT.safetensors]` activates one of its subnets and writes two images and its answers.
"""

import importlib.abc
import importlib.machinery
import json
import re
import sys
import zlib

from timm_model import _Module, drawn

ABSENT = ("torchvision", "gdown", "horovod", "tqdm", "yaml", "matplotlib", "tensorflow")


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imported for images, downloads and progress, which no network needs: any name is there, and nothing behind it."""

    def find_spec(self, name, path=None, target=None):
        mine = name.partition(".")[0] in ABSENT
        return importlib.machinery.ModuleSpec(name, self) if mine else None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module):
        pass


def supernet(width, seed, out, names):
    """A supernet with random weights, saved in float64."""
    import torch
    from ofa.imagenet_classification.elastic_nn.networks.ofa_mbv3 import OFAMobileNetV3

    choices = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4]}
    network = OFAMobileNetV3(width_mult=width, dropout_rate=0, **choices).double().eval()
    state = {}
    for name, tensor in network.state_dict().items():
        generator = torch.Generator().manual_seed(seed + zlib.crc32(name.encode()))
        state[name] = drawn(name, tensor, generator) if tensor.is_floating_point() else tensor
    network.load_state_dict(state)
    saved = network.state_dict()
    if names == "old":
        saved = {
            re.sub(r"^(blocks\.\d+)\.conv\.", r"\1.mobile_inverted_conv.", k): v for k, v in saved.items()
        }
        saved = {
            k.replace(".bn.bn.", ".bn.").replace(".conv.conv.weight", ".conv.weight"): v
            for k, v in saved.items()
        }
        network.load_state_dict(dict(saved))  # their own code reads these names, too
    torch.save({"state_dict": saved}, out)
    return network


def answer(network, arch, out):
    """Two images of the side asked for, and what the subnet answers."""
    import torch
    from safetensors.torch import save_file

    network.set_active_subnet(ks=arch["ks"], e=arch["e"], d=arch["d"])
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, arch["side"], arch["side"], generator=generator, dtype=torch.float64)
    with torch.no_grad():
        save_file({"input": images, "output": network(images)}, out)


def main(folder):
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, StandIn())
    network = None
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        try:
            if what == "supernet":
                network = supernet(*arguments)
            else:
                answer(network, *arguments)
            reply = "done"
        except Exception as error:
            reply = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stdout.write(f"{reply}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
