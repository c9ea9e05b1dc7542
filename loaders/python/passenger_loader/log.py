"""What the loader itself has to say."""

import sys


def warn(message):
    print("Passenger's WSGI loader: " + message, file=sys.stderr, flush=True)
