"""Shows what the threads of the process are doing, to the spawner."""

import faulthandler
import os
import signal

FEATURE = "backtraces_by_signal"

# Programs ignore it unless they have a handler for it, and few have a use for it.
SIGNAL = signal.SIGURG

_file = None


def offer(options):
    """Does what the spawner offers; returns the features to report to it.

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

    # The handler of C has to be the one in front.
    faulthandler.unregister(SIGNAL)
    loop.add_signal_handler(SIGNAL, _write_tasks)
    faulthandler.register(SIGNAL, file=_file, all_threads=True, chain=True)


def _write_tasks():
    import asyncio

    lines = []
    for task in asyncio.all_tasks():
        lines.append("\nTask %r (most recent call last):" % task.get_name())
        lines += ['  File "%s", line %d in %s' % where for where in _awaits(task.get_coro())]

    _file.write("\n".join(lines + [""]).encode("utf-8", "backslashreplace"))


def _awaits(coroutine):
    """The places of a coroutine and of what it awaits, one in the other."""
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            return

        yield frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
