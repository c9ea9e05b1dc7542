'use strict';

// Ends the process when the spawner closes its end of the lifeline: no new
// connections, the requests in hand are finished, then exit code 0. An application that
// listens for a signal to end gets it instead of being ended.

const handshake = require('./handshake');
const startup = require('./startup');

// The signals by which supervisors ask a process to end. The first one that the application
// listens for is sent.
const SIGNALS = ['SIGTERM', 'SIGINT'];

// How long the application may take then, in milliseconds: some listeners end nothing. It is
// less than the 10 s after which the spawner sends SIGTERM.
const GRACE = 8000;

const connections = new Set();
const tunnels = new WeakSet();
const further = [];
let announce;
let server;
let stopping = false;

// announceExit is called when the process is to end, and returns a promise.
function onEndOfLifeline(announceExit) {
  announce = announceExit;
  handshake.watchEnd(() => {
    leaveSignal();
    const signal = SIGNALS.find((name) => process.listenerCount(name) > 0);
    end(signal ? () => send(signal) : exit, signal ? drained : closed);
  });
}

// Keeps account of the server's connections: those without a request are closed on stop,
// the others after their response. Tunnels end by themselves. Nothing is done for each
// request: that took 3 % of its time. Requests of direct access come by other connections,
// which are not waited for.
function watch(watched) {
  server = watched;
  takeSignal();
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

// Takes SIGTERM from elsewhere, as systemd sends it to all processes of a unit at once, for the end of the lifeline,
// unless the application listens for it.
function takeSignal() {
  if (process.listenerCount('SIGTERM') === 0) {
    process.on('SIGTERM', stopBySignal);
    process.on('newListener', leaveToApplication);
  }
}

function leaveSignal() {
  process.removeListener('newListener', leaveToApplication);
  process.removeListener('SIGTERM', stopBySignal);
}

function leaveToApplication(name, listener) {
  if (name === 'SIGTERM' && listener !== stopBySignal) {
    leaveSignal();
  }
}

// A second signal ends the process at once.
function stopBySignal() {
  leaveSignal();
  stop();
}

function stop() {
  end(exit, closed);
}

// Calls last when the application has heard of the end, and no request is in hand.
function end(last, withoutRequests) {
  if (stopping) {
    return;
  }

  stopping = true;
  startup.abandon();
  Promise.all([announce(), withoutRequests()]).then(last);
}

function exit() {
  process.exit(0);
}

// The process ends by the listener, or when there is nothing else to do.
function send(signal) {
  [server, ...further].forEach((each) => each?.unref());

  // It keeps the process until the signal has come.
  const timer = setTimeout(exit, GRACE);
  process.prependOnceListener(signal, () => timer.unref());
  process.kill(process.pid, signal);
}

// Resolves when no connection is open. The server itself stays open, for the listener to
// close: closing it twice is an error.
function drained() {
  return new Promise((resolve) => {
    function check() {
      if (connections.size === 0) {
        resolve();
      }
    }

    connections.forEach((socket) => socket.once('close', check));
    connections.forEach(closeWhenIdle);
    check();
  });
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
