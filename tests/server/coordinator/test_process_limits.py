"""The server's process gives memory back, takes huge pages, and may open many files."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

HEADS = """
import os, resource
from dermafed.server.coordinator.process_limits import open_many_files, return_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
"""

# Each round frees a large block below a small one that stays, so that a heap cannot shrink.
MEMORY = """
{call}
bytes(20 * 2**20)
before, kept = resident(), []
for _ in range(20):
    large = b"x" * (8 * 2**20)
    kept.append(bytes(100_000))
    larger, large = b"x" * (9 * 2**20), None
    kept.append(bytes(100_000))
    larger = None
print(resident() - before)
"""


def printed(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", HEADS + program], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_blocks_go_back_to_the_system() -> None:
    assert float(printed(MEMORY.format(call="return_freed_memory()"))) < 6
    assert float(printed(MEMORY.format(call=""))) > 6, "the control: without it they stay"


@pytest.mark.parametrize(
    ("name", "own", "starts"),
    [
        ("fl-server", None, [None, "glibc.malloc.hugetlb=1"]),
        ("fl-server", "glibc.malloc.check=0", ["glibc.malloc.check=0"]),
        ("pytest", None, [None]),
    ],
)
def test_the_command_starts_anew_with_huge_pages_and_nothing_else_does(
    tmp_path: Path, name: str, own: str | None, starts: list[str | None]
) -> None:
    script = tmp_path / name
    script.write_text("""
import json, os, sys
from dermafed.server.coordinator.process_limits import take_huge_pages
print(json.dumps([os.getpid(), os.environ.get("GLIBC_TUNABLES"), sys.argv[1:]]), flush=True)
take_huge_pages("fl-server")
""")
    environment = {key: value for key, value in os.environ.items() if key != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, script, "start", "--dir", "the alps"],
        env=environment | ({"GLIBC_TUNABLES": own} if own else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    seen = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each[1] for each in seen] == starts
    assert len({each[0] for each in seen}) == 1, "one process, to whoever started it"
    assert all(each[2] == ["start", "--dir", "the alps"] for each in seen)


def test_numpy_adds_up_in_one_thread_unless_the_user_wants_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads = """
import numpy, threadpoolctl
from dermafed.server.coordinator.process_limits import add_up_on_one_core
add_up_on_one_core()
print(*{one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"})
"""
    for asked, used in ((None, "1"), ("2", "2")):
        if asked:
            monkeypatch.setenv("OPENBLAS_NUM_THREADS", asked)
        else:
            monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        assert printed(threads).split() == [used]


def test_a_connection_over_tls_reads_little_at_a_time() -> None:
    program = """
import asyncio, ssl
from asyncio.sslproto import SSLProtocol
{call}
made = SSLProtocol(asyncio.new_event_loop(), None, ssl.create_default_context(), None)
print(len(made.get_buffer(-1)))
"""
    call = "from dermafed.server.coordinator.process_limits import keep_tls_buffers_small as small; small()"
    assert int(printed(program.format(call=call))) == 16 * 2**10
    assert int(printed(program.format(call=""))) == 256 * 2**10, "the control: asyncio's own"


def test_as_many_files_as_the_system_lets_it() -> None:
    program = """
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
open_many_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert int(printed(program)) == (2**16 if hard == resource.RLIM_INFINITY else min(2**16, hard))
