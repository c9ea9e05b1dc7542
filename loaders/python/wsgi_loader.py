"""Loads a WSGI application and serves its requests by the session protocol."""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def import_main():
    """Imports our own package and leaves no trace of it on sys.path."""
    path = sys.path
    sys.path = [_HERE] + path
    try:
        from passenger_loader import main
    finally:
        sys.path = path

    sys.path[:] = [entry for entry in path if os.path.abspath(entry) != _HERE]
    return main


if __name__ == "__main__":
    sys.exit(import_main().run_loader())
