"""What makes the fork of a process that has loaded an application safe, and cheap."""

import gc
import os
import sys
import threading
import time

from .log import print_failure

TASKS = "/proc/self/task"

# How long threads may take to go that the application has ended: the kernel
# shows them for a moment after they have been joined.
VANISH_SECONDS = 1


class ForkUnsafe(Exception):
    """The application cannot be forked."""

    def __init__(self, threads):
        super().__init__(
            "The application cannot be preloaded: after it was loaded, threads were running beside the main thread, "
            "and a fork would leave them behind, with the locks they hold: %s.\n\n"
            "Either start them in each worker process, by a callback for the event starting_worker_process:\n\n"
            "    import phusion_passenger\n\n"
            '    @phusion_passenger.on_event("starting_worker_process")\n'
            "    def start_threads(forked):\n"
            "        ...\n\n"
            "or choose the spawn method direct, which loads the application once for each process."
            % ", ".join(threads)
        )


def require_one_thread():
    deadline = time.monotonic() + VANISH_SECONDS
    threads = _other_threads()
    while threads and time.monotonic() < deadline:
        time.sleep(0.01)
        threads = _other_threads()

    if threads:
        raise ForkUnsafe(threads)


def _other_threads():
    """Describes the threads beside the main one."""
    known = threading.enumerate()
    others = [repr(thread.name) for thread in known if thread is not threading.main_thread()]
    return others + _foreign_threads({thread.native_id for thread in known})


def _foreign_threads(known):
    """Describes threads that were not started by module threading."""
    try:
        tasks = [int(task) for task in os.listdir(TASKS)]
    except OSError:
        return []  # no Linux

    found = []
    for task in sorted(set(tasks) - known):
        try:
            with open("%s/%d/comm" % (TASKS, task)) as comm:
                found.append("%r (thread %d of a library)" % (comm.read().strip(), task))
        except OSError:
            pass  # it has ended

    return found


class Collector:
    """Python's garbage collector, kept from writing to memory that is to be shared."""

    def __init__(self):
        self._enabled = gc.isenabled()
        gc.disable()
        gc.collect()
        gc.freeze()

    def resume(self):
        """Has a worker collect garbage if the application wants that."""
        if self._enabled:
            gc.enable()


def reseed():
    """Gives a worker random numbers of its own. Module random does that by itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is None:
        return

    try:
        numpy_random.seed()
    except Exception:
        print("Passenger's WSGI loader: numpy.random could not be seeded again:", file=sys.stderr)
        print_failure()
