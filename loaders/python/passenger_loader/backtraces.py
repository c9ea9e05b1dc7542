"""Shows what the threads of the process are doing, to the spawner."""

import faulthandler
import os
import signal

FEATURE = "backtraces_by_signal"

# Programs ignore it unless they have a handler for it, and few have a use for it.
SIGNAL = signal.SIGURG

_file = None


def offer(options):
    """Does what the spawner offers; returns the features that it is told of.

    The handler is one of C, which needs no thread of Python to have its turn.
    """
    global _file
    if FEATURE not in options.get("features", "").split():
        return []

    path = os.path.join(options["socket_dir"], "backtraces")
    try:
        _file = open(path, "ab", buffering=0)
        faulthandler.register(SIGNAL, file=_file, all_threads=True, chain=True)
        if not faulthandler.is_enabled():
            faulthandler.enable(file=_file, all_threads=True)
    except (OSError, RuntimeError):
        return []

    return [FEATURE]


def show_tasks(loop):
    """Makes the loop show its tasks, too, when it gets to it: one that waits is in no thread's backtrace."""
    if _file is None:
        return

    loop.add_signal_handler(SIGNAL, _write_tasks)
    # It has replaced the other one.
    faulthandler.register(SIGNAL, file=_file, all_threads=True, chain=True)


def _write_tasks():
    import asyncio
    import io

    text = io.StringIO()
    for task in asyncio.all_tasks():
        text.write("\n")
        task.print_stack(file=text)

    _file.write(text.getvalue().encode("utf-8", "backslashreplace"))
