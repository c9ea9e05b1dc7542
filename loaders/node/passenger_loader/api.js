'use strict';

// What applications may use, as the global PhusionPassenger.

const { EventEmitter } = require('events');

class PhusionPassenger extends EventEmitter {
  #autoInstall = true;
  #concurrency = null;

  constructor(options) {
    super();
    this.options = options;
  }

  // autoInstall: whether the first HTTP server that listens is the one that
  // gets the requests. If not, it is the one that calls listen('passenger').
  configure(settings = {}) {
    if (settings.autoInstall !== undefined) {
      this.#autoInstall = Boolean(settings.autoInstall);
    }
  }

  get autoInstall() {
    return this.#autoInstall;
  }

  // How many requests at once the pool is told that the process serves, of every
  // socket that it has then; 0 is no limit. It is told when the server listens.
  // null leaves it at what each socket has by itself: no limit for requests.
  get advertisedConcurrencyLevel() {
    return this.#concurrency;
  }

  set advertisedConcurrencyLevel(level) {
    if (level !== null && !(Number.isInteger(level) && level >= 0 && level < 2 ** 31)) {
      throw new TypeError('PhusionPassenger.advertisedConcurrencyLevel has to be a number of requests, 0 for no limit, ' +
        `or null; it cannot be ${String(level)}.`);
    }
    this.#concurrency = level;
  }
}

// Calls the listeners of 'exit' and waits for what they have begun. One that
// fails keeps neither the others nor the end of the process from coming.
async function announceExit(api) {
  await Promise.all(api.rawListeners('exit').map(async (listener) => {
    try {
      await listener.call(api);
    } catch (err) {
      process.stderr.write(`The application's listener for PhusionPassenger's 'exit' failed: ${err?.stack || String(err)}\n`);
    }
  }));
}

module.exports = { PhusionPassenger, announceExit };
