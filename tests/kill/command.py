"""A `fractile` command in a process of its own, which kills itself at a step of its writing: see `harness.py`.

Run by `runpy` with these globals: `arguments` of the command (none: statements alone are run), `folder` (where it
runs; its changes are counted), `said` (file of what it prints), `at` (the change before which it kills itself; None:
never), `statements` (run before the command).
"""

import os
import signal
import sys
import time

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink")
changes, began = 0, time.monotonic()


def is_below(path):
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(folder)  # noqa: F821


def watch(event, about):
    """Count what changes the folder, before it happens: renames, deletions, new folders, files opened to be written."""
    global changes
    if event == "open":
        path, mode, flags = about
        writes = any(letter in mode for letter in "wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR)
        if not writes or not is_below(path):
            return
    elif event not in CHANGES or not (any(map(is_below, about)) or (isinstance(about[-1], int) and about[-1] > 2)):
        return
    changes += 1
    if changes == at:  # noqa: F821
        os.kill(os.getpid(), signal.SIGKILL)


os.chdir(folder)  # noqa: F821
handle = os.open(said, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)  # noqa: F821
os.dup2(handle, 1)
os.dup2(handle, 2)
sys.argv = ["fractile", *arguments]  # noqa: F821
sys.addaudithook(watch)
try:
    exec(statements)  # noqa: F821
    if arguments:  # noqa: F821
        from fractile.cli import main

        main()
finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(handle, f"\nchanges: {changes}, seconds: {time.monotonic() - began}\n".encode())
