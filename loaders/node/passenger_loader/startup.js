'use strict';

// Tells the spawner why the process ended, if it did before it listened.

const fs = require('fs');
const path = require('path');
const util = require('util');

const handshake = require('./handshake');

// The exit code of Node.js for a module that waits for what nothing can bring any more.
const UNSETTLED_AWAIT = 13;

let pending = false;
let failure;

// Nothing here changes what Node.js does about an exception: it is remembered,
// and when the process ends of it, or of anything else, the spawner hears why.
function reportFailures() {
  pending = true;
  process.on('uncaughtExceptionMonitor', remember);
  process.on('exit', onExit);
  process.on('beforeExit', listenLast);
}

function succeeded() {
  pending = false;
  failure = undefined;
  process.removeListener('uncaughtExceptionMonitor', remember);
  process.removeListener('exit', onExit);
  process.removeListener('beforeExit', listenLast);
}

// The process is about to end on request, not of a failure.
function abandon() {
  pending = false;
}

function remember(err) {
  failure = { err };
}

// fail ends the process, which has to say why.
function fail(text) {
  failure = { text };
  process.exit(1);
}

function onExit(code) {
  if (!pending) {
    return;
  }

  // What Node.js prints for one of its own it prints only where the code stays.
  const own = process.exitCode === UNSETTLED_AWAIT;
  if (!own) {
    process.exitCode = 1;
  }

  handshake.error(failure ? failure.text ?? describe(failure.err) : explain(own ? UNSETTLED_AWAIT : code));
}

// Node.js tells of an await that never settles when the process ends, in a listener for 'exit' of its own,
// which has to be the first.
function listenLast() {
  process.removeListener('exit', onExit);
  process.on('exit', onExit);
}

function describe(err) {
  return err instanceof Error && err.stack ? err.stack : `Uncaught ${util.inspect(err)}`;
}

function explain(code) {
  const exported = process.mainModule?.exports;
  if (code === 0 && (typeof exported === 'function' || typeof exported?.listen === 'function')) {
    return adviseOnExport();
  }

  if (code === UNSETTLED_AWAIT) {
    return 'The application ended before an HTTP server of it listened, at a top-level await that never settles: ' +
      'Node.js had nothing left to do that could settle it. Look at each await at the top level of the startup ' +
      'file and of what it imports.';
  }

  if (code !== 0) {
    return `The application ended with exit code ${code} before an HTTP server of it listened.\n` +
      'What it printed before, which is in the log, should say why.';
  }

  return `The application ended with exit code ${code} before an HTTP server of it listened.\n` +
    'Make sure that its startup file calls listen() on a server made by http.createServer().';
}

// express-generator makes app.js so, and bin/www, which serves it.
function adviseOnExport() {
  const file = path.basename(process.argv[1]);
  const advice = fs.existsSync(path.join('bin', 'www')) ?
    'if bin/www is the file that does, make it the startup file (--startup-file bin/www)' :
    'make the file that does the startup file (--startup-file FILE), or call listen() in this one';
  return `${file} exports an application and does not call listen() to serve it: ${advice}`;
}

module.exports = { reportFailures, succeeded, abandon, fail };
