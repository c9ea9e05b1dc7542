"""An application that tells of the process it runs in."""

import atexit
import gc
import json
import os
import random
import signal
import sys
import threading
import types

import phusion_passenger

LOADED_BY = os.getpid()

events = []
reseeded = []
at_once = 0
most_at_once = 0
lock = threading.Lock()
barrier = threading.Barrier(4, timeout=20)

sys.modules["numpy.random"] = types.SimpleNamespace(seed=lambda: reseeded.append(os.getpid()))
random.seed(1)


def child_ended(number, frame):
    """Takes away the status of whatever has ended."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass


signal.signal(signal.SIGCHLD, child_ended)
atexit.register(lambda: print("atexit of", os.getpid()))

if os.environ.get("GC") == "off":
    gc.disable()

level = os.environ.get("LEVEL")
if level:
    phusion_passenger.advertised_concurrency_level = json.loads(level)


@phusion_passenger.on_event("starting_worker_process")
def failing(forked):
    raise RuntimeError("the callback fails")


def starting(forked):
    events.append(["starting", forked, os.getpid()])
    threads = threading.Thread(target=lambda: events.append(["thread"]))
    threads.start()
    threads.join()


phusion_passenger.on_event("starting_worker_process", starting)
phusion_passenger.on_event("oob_work", lambda: events.append(["oob_work", threading.active_count()]))


@phusion_passenger.on_event("stopping_worker_process")
def stopping():
    print("stopping", os.getpid())


def identity(env):
    return {
        "pid": os.getpid(),
        "loaded_by": LOADED_BY,
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "events": events,
        "reseeded": reseeded,
        "random": random.random(),
        "gc": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "threads": threading.active_count(),
        "multithread": env["wsgi.multithread"],
        "most_at_once": most_at_once,
        "signal_handler": signal.getsignal(signal.SIGCHLD) is child_ended,
    }


def descriptors(env):
    """What each descriptor is, without numbers that differ between processes."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[int(fd)] = os.readlink("/proc/self/fd/" + fd).split("[")[0].split(":")[0]
        except FileNotFoundError:
            pass  # the one that the list was read by
    return {"standard": [found.pop(fd) for fd in range(3)], "others": sorted(found.values())}


def complain(env):
    print("complaint of", os.getpid(), file=sys.stderr)
    print("word of", os.getpid())
    os.system("echo child of $PPID")
    return None


def wait(env):
    sys.stdout.write("waiting\n")
    with open(env["QUERY_STRING"]) as fifo:
        return fifo.read()


def meet(env):
    """Responds to four at once."""
    barrier.wait()
    return "met"


def end(env):
    sys.exit(7)


def echo(env):
    return env["wsgi.input"].read().decode()


def environment(env):
    return {name: value for name, value in env.items() if isinstance(value, (str, bool))}


def work_later(env):
    phusion_passenger.request_oob_work(dict(env))
    return None


def application(env, start_response):
    global at_once, most_at_once
    with lock:
        at_once += 1
        most_at_once = max(most_at_once, at_once)
    try:
        headers = [("Content-Type", "application/json")]
        if env["QUERY_STRING"] == "own_header":
            headers.append(("!~Request-OOB-Work", "mine"))
        body = json.dumps(globals()[env["PATH_INFO"].strip("/")](env)).encode()
        start_response("200 OK", headers)
        return [body]
    finally:
        with lock:
            at_once -= 1
