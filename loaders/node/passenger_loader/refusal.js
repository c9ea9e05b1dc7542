'use strict';

const http = require('http');

// How long a client may go on sending after it was refused, in milliseconds, and
// how many may do so. Closing earlier could take the response from it.
const LINGER = 1000;
const MAX_LINGERING = 32;

const refused = new WeakSet();
const lingering = new Set();

// Responds and closes the connection. Whatever else comes by it is dropped.
function refuse(socket, status, text = '') {
  if (refused.has(socket)) {
    return;
  }

  refused.add(socket);
  if (!socket.writable || socket.bytesWritten > 0) {
    socket.destroy();
    return;
  }

  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n` +
    `Content-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`);
  socket.resume();
  linger(socket);
}

function linger(socket) {
  const timer = setTimeout(() => socket.destroy(), LINGER).unref();
  lingering.add(socket);
  socket.once('close', () => {
    clearTimeout(timer);
    lingering.delete(socket);
  });

  if (lingering.size > MAX_LINGERING) {
    const [oldest] = lingering;
    oldest.destroy();
  }
}

function isRefused(socket) {
  return refused.has(socket);
}

module.exports = { refuse, isRefused };
