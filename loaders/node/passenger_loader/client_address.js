'use strict';

// Gives connections the address of the client in the place of that of the server in front of
// us, which has none on a Unix socket: frameworks ask the connection, and so do rate limits.

const http = require('http');
const net = require('net');

const FEATURE = 'http_client';
// The server in front of us has an address and a port in it; clients cannot send it.
const FIELD = '!~passenger-client';

const CLIENT = Symbol('passenger client');

// What a connection is asked for its peer.
const PROPERTIES = {
  remoteAddress: property(({ address }) => address),
  remoteFamily: property(({ address }) => (net.isIPv6(address) ? 'IPv6' : 'IPv4')),
  remotePort: property(({ port }) => port),
};

function property(get) {
  return {
    configurable: true,
    enumerable: true,
    get() { return this[CLIENT] && get(this[CLIENT]); },
  };
}

// offer returns the features that the spawner is told of.
function offer(options) {
  return (options.features || '').split(' ').includes(FEATURE) ? [FEATURE] : [];
}

// install is for the server whose connections come from the server in front of us, if that names clients.
function install(server, options) {
  if (offer(options).length === 0) {
    return;
  }

  const ours = new WeakSet();
  server.prependListener('connection', (socket) => {
    ours.add(socket);
    Object.defineProperties(socket, PROPERTIES);
  });

  // A listener would change what Node.js does where the application has none.
  const emit = server.emit;
  server.emit = function emitAndRemember(event, request, ...rest) {
    // Requests of direct access come by other connections.
    if (request instanceof http.IncomingMessage && ours.has(request.socket)) {
      request.socket[CLIENT] = takeClient(request);
    }

    return emit.call(this, event, request, ...rest);
  };
}

// takeClient takes the field out of the request, which the application has not seen yet.
function takeClient(request) {
  const raw = request.rawHeaders;
  let place = 0;
  while (place < raw.length && raw[place].toLowerCase() !== FIELD) {
    place += 2;
  }

  if (place >= raw.length) {
    return undefined;
  }

  // Node.js makes both of the raw fields when they are first asked for, and counts those at the beginning.
  for (const fields of [request.headers, request.headersDistinct || {}]) {
    delete fields[FIELD];
  }

  const [, value] = raw.splice(place, 2);
  const [address, port] = value.split(' ');

  return { address, port: Number(port) };
}

module.exports = { install, offer };
