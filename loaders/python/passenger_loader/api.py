"""What applications import as phusion_passenger."""

import gc
from _thread import allocate_lock

from .events import on_event

__all__ = ["OutOfBandGC", "advertised_concurrency_level", "on_event", "request_oob_work"]

# How many requests the server may send to the process at once. 0 means any number,
# None as many as the process has threads.
advertised_concurrency_level = None

OOB_WORK_WISHES = "passenger.oob_work_wishes"


def request_oob_work(environ):
    """Asks for the event oob_work after the request with this environment, or this scope.

    The server then sends the process no more requests, waits until those in hand
    are finished, and has it do the work. It has to be asked before the first
    byte of the response's body is sent.
    """
    try:
        wishes = environ[OOB_WORK_WISHES]
    except KeyError:
        raise ValueError("this is not the environment of a request that Passenger serves") from None

    wishes.append(True)


class OutOfBandGC:
    """WSGI middleware that collects garbage between requests.

    It asks for out-of-band work after each so many requests. Python's own
    collections during requests go on; gc.disable() or gc.set_threshold() in the
    application make them rare.
    """

    def __init__(self, application, frequency=5):
        if frequency < 1:
            raise ValueError("the frequency is a number of requests, at least 1, and not %r" % (frequency,))

        self._application = application
        self._frequency = frequency
        self._count = 0
        self._lock = allocate_lock()
        on_event("oob_work", lambda: gc.collect())

    def __call__(self, environ, start_response):
        with self._lock:
            self._count += 1
            due = self._count >= self._frequency
            if due:
                self._count = 0

        if due:
            request_oob_work(environ)

        return self._application(environ, start_response)
