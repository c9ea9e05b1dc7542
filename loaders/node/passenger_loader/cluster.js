'use strict';

// Makes this process the primary process of an application that uses the cluster module, and the one worker
// that it can fork as well: Passenger starts as many processes as are needed. The first fork() runs the
// application once more, as a worker, in this process, and messages between the two stay in it.

const cluster = require('cluster');
const dgram = require('dgram');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');

const { syncBuiltinESMExports } = Module;

// What was loaded before the application, which the worker's run shares.
let shared;
let stop;
let beginWorker;
let worker;

// install calls onWorker when the worker begins.
function install(stopProcess, onWorker) {
  stop = stopProcess;
  beginWorker = onWorker;
  shared = new Set(Object.keys(require.cache));
  setRole({ primary: true });
  Object.assign(cluster, { settings: {}, workers: {}, setupPrimary: setUp, setupMaster: setUp, fork, disconnect });
  // A worker's server asks this for what its primary process listens on. Ours
  // does what it would do in a process that is no worker.
  cluster._getServer = (server, { address, port, addressType, backlog, fd, flags }) =>
    server._listen2(address, port, addressType, backlog, fd, flags);

  syncBuiltinESMExports();
  bindAlone();
}

function setRole({ primary }) {
  Object.assign(cluster, { isPrimary: primary, isMaster: primary, isWorker: !primary });
}

function setUp(settings) {
  cluster.settings = { args: process.argv.slice(2), exec: process.argv[1], execArgv: process.execArgv, silent: false,
    ...cluster.settings, ...settings };
  process.nextTick(() => cluster.emit('setup', cluster.settings));
}

// Whatever fork() was called for, it is the one worker.
function fork(env) {
  if (worker) {
    return worker;
  }

  setUp({});
  worker = newWorker();
  cluster.workers[worker.id] = worker;
  process.nextTick(() => cluster.emit('fork', worker));
  // The primary process has to end its own run first.
  setImmediate(() => runWorker(env));

  return worker;
}

// A worker of Node.js is a process of its own, in which everything is loaded again. Native modules cannot be
// loaded twice, and neither can those of ECMAScript but for the startup file.
function runWorker(env) {
  beginWorker();
  Object.assign(process.env, env);
  setRole({ primary: false });
  cluster.worker = worker;
  openChannel();
  syncBuiltinESMExports();

  worker.state = 'online';
  worker.emit('online');
  cluster.emit('online', worker);

  const { args, exec } = cluster.settings;
  const primary = Module._resolveFilename(process.argv[1], null, true);
  const isModule = !(primary in require.cache);
  for (const file of Object.keys(require.cache)) {
    if (!shared.has(file) && path.extname(file) !== '.node') {
      delete require.cache[file];
    }
  }

  const startupFile = Module._resolveFilename(path.resolve(exec), null, true);
  process.argv = [process.argv[0], startupFile, ...args];
  if (isModule && startupFile === primary) {
    const url = pathToFileURL(startupFile);
    url.search = '?worker';
    import(url).catch((err) => process.nextTick(() => { throw err; }));
    return;
  }

  Module.runMain();
}

function newWorker() {
  return Object.assign(new cluster.Worker({ id: 1, state: 'none' }), {
    process,
    isConnected: () => true,
    send: (...args) => deliver(args, (message, handle) => process.emit('message', message, handle)),
    disconnect() {
      this.exitedAfterDisconnect = true;
      stop();
      return this;
    },
    kill: exit,
    destroy: exit,
  });
}

function exit() {
  process.exit(0);
}

function disconnect(callback) {
  worker?.disconnect();
  if (callback) {
    process.nextTick(callback);
  }
}

// openChannel gives the process what only a worker has.
function openChannel() {
  process.connected = true;
  process.send = (...args) => deliver(args, (message, handle) => {
    worker.emit('message', message, handle);
    cluster.emit('message', worker, message, handle);
  });
  process.disconnect = () => worker.disconnect();
}

// deliver hands over what send() was called with, as late as a message of another process comes: a copy, and
// the handle itself.
function deliver(args, receive) {
  const callback = args.find((arg) => typeof arg === 'function');
  const message = JSON.parse(JSON.stringify(args[0]));
  const handle = typeof args[1] === 'function' ? undefined : args[1];
  setImmediate(() => {
    receive(message, handle);
    callback?.(null);
  });

  return true;
}

// listening tells the primary process that the worker's server listens.
function listening() {
  if (!worker) {
    return;
  }

  worker.state = 'listening';
  const address = { addressType: 4, address: null, port: 0, fd: undefined };
  worker.emit('listening', address);
  cluster.emit('listening', worker, address);
}

// A worker's sockets for datagrams ask as well, unless they are exclusive.
function bindAlone() {
  const bind = dgram.Socket.prototype.bind;
  dgram.Socket.prototype.bind = function bindExclusively(...args) {
    const [target, address] = args;
    if (typeof target?.recvStart === 'function') {
      return bind.apply(this, args);
    }

    const options = target !== null && typeof target === 'object' ? target : {
      port: typeof target === 'function' ? undefined : target,
      address: typeof address === 'function' ? undefined : address,
    };

    return bind.call(this, { ...options, exclusive: true }, args.find((arg) => typeof arg === 'function'));
  };
}

module.exports = { install, listening };
