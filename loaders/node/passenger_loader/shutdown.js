'use strict';

// Ends the process when the spawner closes its end of the lifeline: no new
// connections, the requests in hand are finished, then exit code 0.

const handshake = require('./handshake');
const startup = require('./startup');

const connections = new Set();
const tunnels = new WeakSet();
const further = [];
let announce;
let server;
let stopping = false;

// announceExit is called when the process is to end, and returns a promise.
function onEndOfLifeline(announceExit) {
  announce = announceExit;
  handshake.watchEnd(stop);
}

// Keeps account of the server's connections: those without a request are closed on stop,
// the others after their response. Tunnels end by themselves. Nothing is done for each
// request: that took 3 % of its time. Requests of direct access come by other connections,
// which are not waited for.
function watch(watched) {
  server = watched;
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });

  // Merely listening for one of these events changes what the server does about it, so
  // the application has to be the first who does.
  const untracked = new Set(['upgrade', 'connect']);
  function track(event) {
    if (untracked.delete(event)) {
      server.prependListener(event, (req, socket) => tunnels.add(socket));
    }
  }

  server.eventNames().forEach(track);
  server.on('newListener', track);
}

// Closes another server on stop. It has no connections that would be waited for.
function closeToo(another) {
  further.push(another);
}

// Closes a connection as soon as it has no response to send, which is what Node.js
// itself goes by for server.closeIdleConnections().
function closeWhenIdle(socket) {
  if (tunnels.has(socket) || socket.destroyed) {
    return;
  }

  const response = socket._httpMessage;
  if (response) {
    response.once('close', () => closeWhenIdle(socket));
  } else {
    socket.destroySoon();
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
    connections.forEach(closeWhenIdle);
  });
}

module.exports = { onEndOfLifeline, watch, closeToo, stop };
