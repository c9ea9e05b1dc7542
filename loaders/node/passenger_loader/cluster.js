'use strict';

// Makes applications that use the cluster module take this process for one of
// their workers. Passenger starts as many processes as are needed, so that the
// application has nobody to fork.

const cluster = require('cluster');
const dgram = require('dgram');
const { syncBuiltinESMExports } = require('module');

function install(stop) {
  Object.assign(cluster, {
    isPrimary: false,
    isMaster: false,
    isWorker: true,
    worker: worker(stop),
    // A worker's server asks this for what its primary process listens on. Ours
    // does what it would do in a process that is no worker.
    _getServer: (server, { address, port, addressType, backlog, fd, flags }) =>
      server._listen2(address, port, addressType, backlog, fd, flags),
  });

  for (const name of ['fork', 'setupPrimary', 'setupMaster', 'disconnect']) {
    cluster[name] = () => refuse(name);
  }

  syncBuiltinESMExports();
  bindAlone();
}

function refuse(name) {
  throw new Error(`cluster.${name}() is for primary processes, and this one is a worker: Passenger starts and ends ` +
    'the processes of an application. Check cluster.isPrimary first, or make the file that listens the startup file.');
}

function worker(stop) {
  const exit = () => process.exit(0);
  return Object.assign(new cluster.Worker({ id: 1, state: 'listening' }), {
    process,
    isConnected: () => true,
    // There is nobody to receive it.
    send(...args) {
      const callback = args.find((arg) => typeof arg === 'function');
      if (callback) {
        process.nextTick(callback, null);
      }

      return true;
    },
    disconnect() {
      this.exitedAfterDisconnect = true;
      stop();
      return this;
    },
    kill: exit,
    destroy: exit,
  });
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

module.exports = { install };
