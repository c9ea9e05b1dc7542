'use strict';

// Shows what the process is doing, to the spawner, even while it is in an endless loop: a thread of its own looks at
// the main thread by the inspector's protocol, without a port. It takes about 8 MB, so that spawners offer it only
// where they limit the time of requests.

const path = require('path');

const FEATURE = 'backtraces_by_socket';

// offer does what the spawner offers, and returns the features to report to it.
function offer(options) {
  if (!options.socket_dir || !(options.features || '').split(' ').includes(FEATURE)) {
    return [];
  }

  try {
    const { Worker } = require('worker_threads');
    const worker = new Worker(path.join(__dirname, 'backtraces_thread.js'), {
      name: 'Passenger backtraces',
      workerData: path.join(options.socket_dir, 'backtraces'),
      env: {},
      execArgv: [],
    });
    worker.unref();
    worker.on('error', () => {}); // the application serves without
  } catch {
    return [];
  }

  return [FEATURE];
}

module.exports = { offer };
