'use strict';

// Direct access to this process by HTTP, for operators who know the connect
// password: their requests go to the application's server.

const crypto = require('crypto');
const http = require('http');

const { refuse, isRefused } = require('./refusal');

const PASSWORD = 'x-passenger-connect-password';
const MAX_CONNECTIONS = 32;
const MAX_FIELDS = 100;

// What Node.js was started with is meant for the application's server.
const PARSING = {
  maxHeaderSize: 128 * 1024,
  insecureHTTPParser: false,
  connectionsCheckingInterval: 5000,
};
const HEAD_TIMEOUT = 60000; // milliseconds

// Calls back with the address when it listens.
function open(server, password, onListening) {
  const direct = http.createServer(PARSING);
  direct.headersTimeout = HEAD_TIMEOUT;
  direct.on('clientError', (err, socket) => refuse(socket, statusOf(err)));
  limitConnections(direct);
  handOver(direct, server, digest(Buffer.from(password)));

  direct.listen({ host: '127.0.0.1', port: 0 }, () => {
    direct.on('error', (err) => warn(`direct access fails: ${err.message}`));
    onListening(`tcp://127.0.0.1:${direct.address().port}`);
  });

  direct.unref();
}

function limitConnections(direct) {
  const open = new Set();
  direct.on('connection', (socket) => {
    // Only the application decides how long the process lives.
    socket.unref();
    for (const other of open) {
      if (isRefused(other)) {
        open.delete(other);
      }
    }

    if (open.size >= MAX_CONNECTIONS) {
      socket.destroy();
      return;
    }

    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
}

function statusOf(err) {
  switch (err.code) {
    case 'HPE_HEADER_OVERFLOW': return 431;
    case 'ERR_HTTP_REQUEST_TIMEOUT': return 408;
    default: return 400;
  }
}

// Has the application's server get what arrives, and does what Node.js does
// about what that does not listen for.
function handOver(direct, server, expected) {
  const response = (pass) => (req, res) => {
    if (!admit(req, expected)) {
      req.resume();
      return;
    }

    res.setHeader('Connection', 'close');
    res.once('finish', () => req.socket.destroySoon());
    pass(req, res);
  };

  direct.on('request', response((req, res) => server.emit('request', req, res)));
  direct.on('checkContinue', response((req, res) => {
    if (!server.emit('checkContinue', req, res)) {
      res.writeContinue();
      server.emit('request', req, res);
    }
  }));
  direct.on('checkExpectation', response((req, res) => {
    if (!server.emit('checkExpectation', req, res)) {
      res.writeHead(417);
      res.end();
    }
  }));

  const tunnel = (event) => (req, socket, head) => {
    if (admit(req, expected) && !server.emit(event, req, socket, head)) {
      socket.destroy();
    }
  };

  direct.on('connect', tunnel('connect'));
  // A request to upgrade is one like any other unless there is a listener for it.
  const onUpgrade = tunnel('upgrade');
  direct.on('connection', () => {
    direct.removeListener('upgrade', onUpgrade);
    if (server.listenerCount('upgrade') > 0) {
      direct.on('upgrade', onUpgrade);
    }
  });
}

// Prepares a request for the application, or refuses it.
function admit(req, expected) {
  if (isRefused(req.socket)) {
    return false;
  }

  if (req.rawHeaders.length > 2 * MAX_FIELDS) {
    refuse(req.socket, 431, `The request has more than ${MAX_FIELDS} header fields.\n`);
    return false;
  }

  const sent = req.headers[PASSWORD];
  if (sent === undefined || !crypto.timingSafeEqual(digest(Buffer.from(sent, 'latin1')), expected)) {
    warn('refused a request with a wrong connect password, by direct access');
    refuse(req.socket, 403, "Send the process's connect password in the header X-Passenger-Connect-Password.\n");
    return false;
  }

  hideFields(req);
  return true;
}

function digest(bytes) {
  return crypto.createHash('sha256').update(bytes).digest();
}

function hideFields(req) {
  // Node.js makes both of the raw fields, when they are first asked for.
  for (const fields of [req.headers, req.headersDistinct || {}]) {
    Object.keys(fields).filter(isHidden).forEach((name) => delete fields[name]);
  }

  req.rawHeaders = req.rawHeaders.filter((_, i, raw) => !isHidden(raw[i - i % 2]));
}

function isHidden(field) {
  const name = field.toLowerCase();
  return name === PASSWORD || name === 'proxy' || !/^[a-z0-9-]+$/.test(name);
}

function warn(message) {
  process.stderr.write(`Passenger's Node.js loader: ${message}\n`);
}

module.exports = { open };
