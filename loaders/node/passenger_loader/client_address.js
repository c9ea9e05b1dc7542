'use strict';

// Gives connections the address of the client in the place of that of the server in front of
// us, which has none on a Unix socket: frameworks ask the connection, and so do rate limits.

const http = require('http');
const net = require('net');

const FEATURE = 'http_client';
// The last field of the server in front of us has an address and a port in it; clients cannot send it.
const FIELD = '!~Passenger-Client';
const FIELD_KEY = FIELD.toLowerCase();

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

// offer returns the features to report to the spawner.
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
  if (raw[raw.length - 2] !== FIELD) {
    return undefined;
  }

  const value = raw[raw.length - 1];
  hide(request, raw.length - 2);
  raw.length -= 2;

  const [address, port] = value.split(' ');

  return { address, port: Number(port) };
}

// hide leaves the field out of what Node.js makes of the raw fields, when it is first asked for that. It counts those
// that came, and has made the headers already, mostly.
function hide(request, count) {
  const counter = counterOf(request);
  if (counter !== undefined) {
    request[counter] = count;
  } else if (request.headersDistinct !== undefined) {
    delete request.headersDistinct[FIELD_KEY];
  }

  delete request.headers[FIELD_KEY];
}

let counter;

// counterOf returns Node.js's own name for the number of raw fields; undefined means that this version has none.
function counterOf(request) {
  if (counter === undefined) {
    counter = Object.getOwnPropertySymbols(request).find((symbol) => symbol.description === 'kHeadersCount') ?? null;
  }

  return counter ?? undefined;
}

module.exports = { install, offer };
