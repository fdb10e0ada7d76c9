"""Freed memory is reused: counted in page faults, which no other process changes."""

import platform
import subprocess
import sys

import pytest

BLOCKS, PAGES = 20, 64 * 2**20 // 4096
PROGRAM = f"""
import ctypes, resource
{{first}}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({BLOCKS}):
    block = libc.malloc({PAGES * 4096})
    ctypes.memset(block, 1, {PAGES * 4096})
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
KEEP = "from simtrain.cli.host_memory import keep_freed_memory; keep_freed_memory()"


def faults(first: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(first=first)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, whose allocator is meant")
def test_a_block_that_was_freed_is_not_cleared_again() -> None:
    assert faults("") >= BLOCKS * PAGES  # each block anew, from the system
    assert faults(KEEP) < 1.1 * PAGES  # the first one only
