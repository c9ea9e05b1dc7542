'use strict';

// The spawn handshake 1.0. File descriptors 0 and 1 are the same socket, and so is 3, if the spawner is ours: then it
// is the lifeline, which ends when the process is to end, and the application's stdin is empty.

const fs = require('fs');
const net = require('net');

const STDIN = 0;
const STDOUT = 1;
const SECOND = 3;

const MARKER = '!> ';
const GREETING = 'You have control 1.0';

let lifeline;

// Neither the application nor what it starts can read the lifeline, and wait for it.
function openLifeline() {
  if (!isSame(STDIN, SECOND)) {
    return process.stdin;
  }

  const socket = new net.Socket({ fd: SECOND, readable: true, writable: false });
  // What is opened next gets the number that is free.
  fs.closeSync(STDIN);
  fs.openSync('/dev/null', 'r');

  return socket;
}

function isSame(one, other) {
  try {
    const [a, b] = [fs.fstatSync(one), fs.fstatSync(other)];
    return a.isSocket() && b.isSocket() && a.dev === b.dev && a.ino === b.ino;
  } catch {
    return false;
  }
}

// Takes control and calls back with the options that the spawner sent.
function begin(callback) {
  let received = Buffer.alloc(0);

  function onData(chunk) {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf('\n\n');
    if (end < 0) {
      return;
    }

    lifeline.removeListener('data', onData);
    lifeline.removeListener('end', onEnd);
    const [greeting, ...lines] = received.toString('utf8', 0, end).split('\n');
    if (greeting !== GREETING) {
      fatal(`the spawner sent ${JSON.stringify(greeting)} instead of "${GREETING}"`);
    }

    callback(parse(lines));
  }

  function onEnd() {
    fatal('the spawner closed the connection before it had sent its request');
  }

  lifeline = openLifeline();
  lifeline.on('data', onData);
  lifeline.on('end', onEnd);
  write(`${MARKER}I have control 1.0\n`);
}

function parse(lines) {
  const options = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) {
      options[line.slice(0, colon)] = line.slice(colon + 1).replace(/^ +/, '');
    }
  }

  return options;
}

// Tells the spawner where the application listens. The empty line keeps
// unfinished output of the application from swallowing the first marker.
function ready(sockets, features) {
  const lines = sockets.map((socket) => `${MARKER}socket: ${socket}\n`);
  if (features.length > 0) {
    lines.push(`${MARKER}features: ${features.join(' ')}\n`);
  }

  write(`\n${MARKER}Ready\n${lines.join('')}${MARKER}\n`);
}

// Tells the spawner why the application does not start. The process must end
// afterwards: the text goes up to there.
function error(text) {
  write(`\n${MARKER}Error\n${MARKER}\n${text}\n`);
}

function fatal(message) {
  process.stderr.write(`Passenger's Node.js loader: ${message}.\n`);
  process.exit(1);
}

// Writes at once, even from an exit handler. A spawner that is gone is no
// failure here: the end of stdin tells of it.
function write(text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(STDOUT, rest));
    } catch (err) {
      if (err.code !== 'EAGAIN') {
        return;
      }
    }
  }
}

// watchEnd calls stop when the spawner closes its end of the lifeline.
//
// Waiting for that must not keep alive an application that has nothing else
// to do: that it ends before it listens has to show.
function watchEnd(stop) {
  lifeline.on('end', stop);
  lifeline.on('error', stop);
  lifeline.on('close', stop);
  lifeline.resume();
  lifeline.unref();
}

module.exports = { begin, ready, error, watchEnd };
