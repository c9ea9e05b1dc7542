'use strict';

// The thread that looks at the main thread; see backtraces.js.

const fs = require('fs');
const net = require('net');
const { workerData } = require('worker_threads');

// How long the main thread may take to come to its event loop, and to come to JavaScript.
const LOOP_PATIENCE = 100; // ms
const PATIENCE = 1200; // ms

// What the main thread does when its event loop gets to it.
const WAITS = "new Promise((done) => setImmediate(() => done(process.getActiveResourcesInfo?.().join(', '))))";

const server = net.createServer((socket) => {
  socket.on('error', () => {});
  look((text) => socket.end(text));
});
server.listen(workerData, () => fs.chmodSync(workerData, 0o600));

// look pauses the main thread for a moment, where it is in JavaScript, unless it waits for events.
function look(done) {
  const { Session } = require('inspector'); // which takes memory, and is seldom needed
  const session = new Session();
  const files = new Map(); // by the IDs of scripts
  const pausing = setTimeout(() => {
    session.post('Debugger.enable');
    session.post('Debugger.pause');
  }, LOOP_PATIENCE);
  const giveUp = setTimeout(() => {
    finish('The main thread is in no JavaScript: it is in a function of the system, or of a native module.\n');
  }, PATIENCE);

  function finish(text) {
    clearTimeout(pausing);
    clearTimeout(giveUp);
    session.removeAllListeners();
    session.disconnect();
    done(text);
  }

  session.connectToMainThread();
  session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url));
  session.once('Debugger.paused', ({ params }) => {
    session.post('Debugger.resume');
    finish(`Main thread:\n${params.callFrames.map((frame) => describe(frame, files)).join('')}`);
  });
  session.post('Runtime.evaluate', { expression: WAITS, awaitPromise: true }, (err, reply) => {
    if (!err) {
      finish(`The main thread waits for events. Active resources: ${reply.result.value ?? 'unknown'}\n`);
    }
  });
}

function describe({ functionName, location: { scriptId, lineNumber, columnNumber } }, files) {
  const file = (files.get(scriptId) || 'unknown').replace(/^file:\/\//, '');
  return `    at ${functionName || '(anonymous)'} (${file}:${lineNumber + 1}:${(columnNumber ?? 0) + 1})\n`;
}
