'use strict';

// What applications may use, as the global PhusionPassenger.

const { EventEmitter } = require('events');

const ENV_HEADER = '!~passenger-envvars';

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

  // The variables that the server has set for this one request, as REMOTE_USER, as an
  // object without a prototype. They come in a header that no client can send through
  // Passenger; do not believe them of a program that was started by hand.
  requestEnv(request) {
    const env = Object.create(null);
    const encoded = request.headers[ENV_HEADER];
    if (typeof encoded !== 'string') {
      return env;
    }

    const fields = Buffer.from(encoded, 'base64').toString('utf8').split('\0');
    for (let i = 0; i + 2 < fields.length; i += 2) {
      env[fields[i]] = fields[i + 1];
    }

    return env;
  }

  // How many requests at once the process serves, as the loader reports it to the pool for
  // every socket when the server listens; 0 means no limit.
  // null leaves it at what each socket has by itself: no limit for requests.
  get advertisedConcurrencyLevel() {
    return this.#concurrency;
  }

  set advertisedConcurrencyLevel(level) {
    if (level !== null && !(Number.isInteger(level) && level >= 0 && level < 2 ** 31)) {
      throw new TypeError('PhusionPassenger.advertisedConcurrencyLevel has to be a number of requests, ' +
        `0 for no limit, or null; it cannot be ${String(level)}.`);
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
      const reason = err?.stack || String(err);
      process.stderr.write(`The application's listener for PhusionPassenger's 'exit' failed: ${reason}\n`);
    }
  }));
}

module.exports = { PhusionPassenger, announceExit };
