'use strict';

// Ends the process when the spawner closes its end of stdin: no new
// connections, the requests in hand are finished, then exit code 0.

const startup = require('./startup');

const idle = new Set();
const further = [];
let announce;
let server;
let stopping = false;

// announceExit is called when the process is to end, and returns a promise.
//
// Waiting for the end must not keep alive an application that has nothing else
// to do: that it ends before it listens has to show.
function onEndOfStdin(announceExit) {
  announce = announceExit;
  process.stdin.on('end', stop);
  process.stdin.on('error', stop);
  process.stdin.on('close', stop);
  process.stdin.resume();
  process.stdin.unref();
}

// Keeps account of the server's connections: those without a request are
// closed on stop, the others after their response. Requests that come by another
// connection, of direct access, are not waited for.
function watch(watched) {
  server = watched;
  server.on('connection', (socket) => {
    idle.add(socket);
    socket.once('close', () => idle.delete(socket));
  });

  // Merely listening for an event other than 'request' changes what the server
  // does with it, so the application has to be the first who does.
  const trackers = new Map([
    ['request', onRequest],
    ['checkContinue', onRequest],
    ['checkExpectation', onRequest],
    ['upgrade', onTunnel],
    ['connect', onTunnel],
  ]);
  function track(event) {
    const tracker = trackers.get(event);
    if (trackers.delete(event)) {
      server.prependListener(event, tracker);
    }
  }

  server.eventNames().forEach(track);
  server.on('newListener', track);
}

// Closes another server on stop. It has no connections that would be waited for.
function closeToo(another) {
  further.push(another);
}

function onRequest(req, res) {
  if (idle.delete(req.socket)) {
    res.once('close', () => release(req.socket));
  }
}

function onTunnel(req, socket) {
  idle.delete(socket);
}

function release(socket) {
  if (socket.destroyed) {
    return;
  }

  if (stopping) {
    socket.destroySoon();
  } else {
    idle.add(socket);
  }
}

function stop() {
  if (stopping) {
    return;
  }

  stopping = true;
  startup.abandon();
  Promise.all([announce(), closed()]).then(() => process.exit(0));
}

function closed() {
  return new Promise((resolve) => {
    if (!server) {
      resolve();
      return;
    }

    server.close(resolve);
    further.forEach((another) => another.close());
    for (const socket of idle) {
      socket.destroy();
    }
  });
}

module.exports = { onEndOfStdin, watch, closeToo, stop };
