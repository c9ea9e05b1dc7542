'use strict';

// Gives connections the address of the client in the place of that of the server in front of
// us, which has none on a Unix socket: frameworks ask the connection, and so do rate limits.

const http = require('http');
const net = require('net');

const REQUEST = Symbol('passenger request');

// What a connection is asked for its peer.
const PROPERTIES = {
  remoteAddress: property(clientAddress),
  remoteFamily: property((socket) => {
    const address = clientAddress(socket);
    return address && (net.isIPv6(address) ? 'IPv6' : 'IPv4');
  }),
  // It is not known here.
  remotePort: property((socket) => clientAddress(socket) && 0),
};

function property(get) {
  return {
    configurable: true,
    enumerable: true,
    get() { return get(this); },
  };
}

// install is for the server whose connections come from the server in front of us.
function install(server) {
  server.prependListener('connection', (socket) => {
    // By TCP, only where there is no directory for sockets.
    if (socket.remoteAddress === undefined) {
      Object.defineProperties(socket, PROPERTIES);
    }
  });

  // A listener would change what Node.js does where the application has none.
  const emit = server.emit;
  server.emit = function emitAndRemember(event, request, ...rest) {
    if (request instanceof http.IncomingMessage) {
      request.socket[REQUEST] = request;
    }

    return emit.call(this, event, request, ...rest);
  };
}

// The last address of X-Forwarded-For is what the server in front has seen, and behind a proxy
// that it trusts, the last but one is what that one has: nothing that a client could invent.
function clientAddress(socket) {
  const field = socket[REQUEST]?.headers['x-forwarded-for'];
  if (field === undefined) {
    return undefined;
  }

  const addresses = field.split(',');
  return addresses[Math.max(addresses.length - 2, 0)].trim();
}

module.exports = { install };
