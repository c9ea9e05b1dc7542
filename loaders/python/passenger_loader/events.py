"""What happens to a process, and what applications do about it."""

import sys

from .log import print_failure

_callbacks = {"starting_worker_process": [], "stopping_worker_process": [], "oob_work": []}


def on_event(event, callback=None):
    """Has callback called at each event of that name.

    starting_worker_process: before the process serves requests, with True if it
    was forked from a preloader, else False. stopping_worker_process: after its
    last request. oob_work: when it is to do what requests should not wait for,
    see request_oob_work().

    Without callback it is a decorator:

        @phusion_passenger.on_event("starting_worker_process")
        def connect(forked): ...
    """
    if event not in _callbacks:
        raise ValueError("there is no event %r: choose one of %s" % (event, ", ".join(sorted(_callbacks))))

    if callback is None:
        return lambda decorated: on_event(event, decorated)

    if not callable(callback):
        raise TypeError("the callback %r for event %s is not callable" % (callback, event))

    _callbacks[event].append(callback)
    return callback


def fire(event, *arguments):
    """Calls all callbacks of an event, also if some fail."""
    for callback in list(_callbacks[event]):
        try:
            callback(*arguments)
        except Exception:
            print("Passenger's WSGI loader: a callback for the event %s failed:" % event, file=sys.stderr)
            print_failure()
