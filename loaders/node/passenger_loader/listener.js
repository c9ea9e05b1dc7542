'use strict';

// Replaces listen(): the first HTTP server that calls it gets our address
// instead of its own, whatever it asked for.

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const net = require('net');
const path = require('path');

const clientAddress = require('./client_address');
const otherServers = require('./other_servers');

const BACKLOG = 65535; // the kernel cuts it to what it allows
const NAME_BYTES = 5; // of a socket's name, in hexadecimal digits: paths of sockets have to be short

// The names that choose a server when auto-installation is off.
const EXPLICIT = ['passenger', '/passenger'];

// How long the server of a primary process of the cluster module waits for that of the worker.
const WORKER_WAIT = 5000; // ms

// The server that gets our address.
let chosen;
let announced = false;
let onListening;
let onUnannounced;

// Where servers listen that have an address of ours, and what they do then.
const places = new WeakMap();

// install calls onReady with the server that listens and its address, and onFurther
// with each server of a further address.
function install(api, onReady, onFurther) {
  const originalListen = net.Server.prototype.listen;
  onListening = onReady;
  onUnannounced = onFurther;
  otherServers.expect(api.options.start_timeout, http.Server);

  function listen(...args) {
    const wanted = isExplicit(args[0]) || (api.autoInstall && this instanceof http.Server);
    const callback = args.find((arg) => typeof arg === 'function');
    if (chosen && wanted && isFurther(args[0]) && api.options.socket_dir) {
      return listenOn(this, originalListen, api.options, callback, onFurther);
    }

    // One that was closed, and listens again, keeps its address.
    if (places.has(this)) {
      return listenOn(this, originalListen, api.options, callback);
    }

    if (chosen || !wanted) {
      otherServers.note(this);
      return originalListen.apply(this, args);
    }

    chosen = this;
    this.on('close', () => giveUp(this));
    disableTimeouts(this);
    acceptLargeHeads(this);
    clientAddress.install(this, api.options);

    listenOn(this, originalListen, api.options, callback, announceSoon);
    places.get(this).main = true;

    return this;
  }

  net.Server.prototype.listen = listen;
}

// The application may still ask for a worker, whose server takes the place.
function announceSoon(server) {
  setImmediate(() => announce(server));
}

function announce(server) {
  // It may have been closed meanwhile, and listen again later.
  if (server !== chosen || announced || !server.listening) {
    return;
  }

  announced = true;
  otherServers.found();
  const address = server.address();
  onListening(server, typeof address === 'string' ? `unix:${address}` : `tcp://127.0.0.1:${address.port}`);
}

// giveUp lets another server take the place of one that was closed before anybody heard of it.
function giveUp(server) {
  if (server === chosen && !announced && !server.listening) {
    chosen = undefined;
  }
}

// preferWorker is for the start of a worker of the cluster module: its server gets the address even where one
// of the primary process, which may have figures for an operator, listens already. That one serves if the
// worker has none: it then hands connections to the worker.
function preferWorker() {
  if (!chosen || announced) {
    return;
  }

  const server = chosen;
  chosen = undefined;
  places.get(server).main = false;
  onUnannounced(server);
  setTimeout(() => {
    chosen ??= server;
    announce(server);
  }, WORKER_WAIT).unref();
}

function isExplicit(target) {
  const name = target !== null && typeof target === 'object' ? target.path : target;
  return EXPLICIT.includes(name);
}

// Fastify listens on each address of localhost, on the port that its first server has.
// On a Unix socket that has none, and Node.js would take any port, by which every user of
// the machine could ask the application: the further server gets a socket as well, which
// the spawner does not hear of.
function isFurther(options) {
  return options !== null && typeof options === 'object' && 'port' in options && options.port === undefined &&
    options.path === undefined && options.fd === undefined;
}

// Connections are kept open and closed by the other side. What Node.js would
// close by itself could be closed just as the next request arrives.
function disableTimeouts(server) {
  // Applications set it behind listen(), for other load balancers.
  Object.defineProperty(server, 'keepAliveTimeout', { configurable: true, enumerable: true, get: () => 0, set() {} });
  server.headersTimeout = 0;
  server.requestTimeout = 0;
  server.timeout = 0;
}

// The heads that come have passed the limits of the server in front, which are larger than
// the 16 KiB of Node.js: tickets of Kerberos and tokens in cookies are long.
const MAX_HEADER_BYTES = 1 << 20;

function acceptLargeHeads(server) {
  if (server.maxHeaderSize === undefined) {
    server.maxHeaderSize = MAX_HEADER_BYTES;
  }
}

// listenOn makes a server listen on an address of ours, and calls onServer each time that it does.
function listenOn(server, originalListen, options, callback, onServer) {
  if (!places.has(server)) {
    const place = options.socket_dir ? { path: socketPath(options) } : { host: '127.0.0.1', port: 0 };
    places.set(server, place);
    server.on('listening', () => {
      if (place.path) {
        fs.chmodSync(place.path, 0o600);
      } else {
        place.port = server.address().port;
      }

      if (place.main && !announced) {
        chosen ??= server;
      }

      onServer(server);
    });
  }

  const args = [{ ...places.get(server), backlog: BACKLOG }, callback].filter(Boolean);
  const umask = process.umask(0o177);
  try {
    originalListen.apply(server, args);
  } finally {
    process.umask(umask);
  }

  return server;
}

// Returns a name that is free, in a directory where only this process makes
// anything.
function socketPath(options) {
  let file;
  do {
    file = path.join(options.socket_dir, `node.${crypto.randomBytes(NAME_BYTES).toString('hex')}`);
  } while (fs.existsSync(file));
  const max = parseInt(options.UNIX_PATH_MAX, 10) || 104;
  if (Buffer.byteLength(file) >= max) {
    throw new Error(`cannot listen on ${file}: a Unix socket's path has to be shorter than ${max} bytes. ` +
      'Choose a shorter instance directory.');
  }

  return file;
}

module.exports = { install, preferWorker };
