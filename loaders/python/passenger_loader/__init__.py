"""The parts of the WSGI loader and of its preloader.

main is what the scripts run. handshake talks to the spawner, application loads
the application, api is what it imports as phusion_passenger, with its events.

worker puts together what serves: listener has the sockets, session and direct
are what comes by them (connection is what those have in common, http_head reads
the requests of direct), request is one request, server waits for them,
threaded_server has several served at once, and wsgi runs the application for
one of them and frames its response.

preloader forks workers: command is what it is asked by, children the processes
that it waits for, fork_safety what has to be done around a fork.
"""
