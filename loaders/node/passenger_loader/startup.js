'use strict';

// Tells the spawner why the process ended, if it did before it listened.

const util = require('util');

const handshake = require('./handshake');

let pending = false;
let failure;

// Nothing here changes what Node.js does about an exception: it is remembered,
// and when the process ends of it, or of anything else, the spawner hears why.
function reportFailures() {
  pending = true;
  process.on('uncaughtExceptionMonitor', remember);
  process.on('exit', onExit);
}

function succeeded() {
  pending = false;
  failure = undefined;
  process.removeListener('uncaughtExceptionMonitor', remember);
  process.removeListener('exit', onExit);
}

// The process is about to end on request, not of a failure.
function abandon() {
  pending = false;
}

function remember(err) {
  failure = { err };
}

function onExit(code) {
  if (!pending) {
    return;
  }
  process.exitCode = 1;
  handshake.error(failure ? describe(failure.err) : explain(code));
}

function describe(err) {
  return err instanceof Error && err.stack ? err.stack : `Uncaught ${util.inspect(err)}`;
}

function explain(code) {
  return `The application ended with exit code ${code} before an HTTP server of it listened.\n` +
    'Make sure that its startup file calls listen() on a server made by http.createServer().';
}

module.exports = { reportFailures, succeeded, abandon };
