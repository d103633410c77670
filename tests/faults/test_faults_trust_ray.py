"""Ray that nas starts itself listens to this machine alone."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import psutil
from nas.scale.cluster import connected

with connected() as ray:
    assert ray.get(ray.remote(lambda: 3).options(num_cpus=1).remote()) == 3
    own = {process.pid for process in psutil.Process().children(recursive=True)} | {psutil.Process().pid}
    listening = [c for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.pid in own]
    print(len(listening), sorted({c.laddr.ip.removeprefix("::ffff:") for c in listening}))
"""


def test_a_local_ray_listens_on_the_loopback_alone() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=600)
    count, _, addresses = done.stdout.strip().splitlines()[-1].partition(" ")
    assert int(count) >= 3 and addresses == "['127.0.0.1']", done.stdout + done.stderr
