"""What the loader itself has to say."""

import sys

# What kind of application it is.
kind = "WSGI"


def warn(message):
    print("Passenger's %s loader: %s" % (kind, message), file=sys.stderr, flush=True)


def print_failure():
    """Prints the exception that is being handled."""
    print(describe_failure(), end="", file=sys.stderr, flush=True)


def describe_failure():
    # Importing it takes a tenth of the time that an application needs to start.
    import traceback

    return traceback.format_exc()
