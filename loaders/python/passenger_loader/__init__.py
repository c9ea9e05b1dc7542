"""The parts of the WSGI loader.

main loads the application and puts the parts together, handshake talks to the
spawner, server waits for requests on connection objects, request reads them,
and wsgi runs the application for one of them and frames its response.
"""
