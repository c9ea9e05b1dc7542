'use strict';

// The thread that looks at the main thread; see backtraces.js.

const fs = require('fs');
const net = require('net');
const { workerData } = require('worker_threads');

// How long the main thread may take to come to JavaScript.
const PATIENCE = 500; // ms

const server = net.createServer((socket) => {
  socket.on('error', () => {});
  look((text) => socket.end(text));
});
server.listen(workerData, () => fs.chmodSync(workerData, 0o600));

// look pauses the main thread for a moment, where it is in JavaScript.
function look(done) {
  const { Session } = require('inspector'); // which takes memory, and is seldom needed
  const session = new Session();
  let waits = '';
  const timer = setTimeout(() => {
    finish('The main thread runs no JavaScript: it waits for events, or is in a function of the system.\n');
  }, PATIENCE);

  function finish(text) {
    clearTimeout(timer);
    session.removeAllListeners();
    session.disconnect();
    done(text + waits);
  }

  const files = new Map(); // by the IDs of scripts
  session.connectToMainThread();
  session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url));
  session.once('Debugger.paused', ({ params }) => {
    session.post('Debugger.resume');
    finish(`Main thread:\n${params.callFrames.map((frame) => describe(frame, files)).join('')}`);
  });
  session.post('Runtime.evaluate', {
    expression: 'process.getActiveResourcesInfo?.().join(", ")',
    returnByValue: true,
  }, (err, reply) => {
    if (typeof reply?.result?.value === 'string') {
      waits = `Active resources: ${reply.result.value}\n`;
    }
  });
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}

function describe({ functionName, location: { scriptId, lineNumber, columnNumber } }, files) {
  const file = (files.get(scriptId) || 'unknown').replace(/^file:\/\//, '');
  return `    at ${functionName || '(anonymous)'} (${file}:${lineNumber + 1}:${(columnNumber ?? 0) + 1})\n`;
}
