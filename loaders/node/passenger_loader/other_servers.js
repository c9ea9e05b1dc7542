'use strict';

// Says what listens instead of an HTTP server: requests come by HTTP/1.1 without TLS, and an application that has
// none for them would start until the time for it is over.

const startup = require('./startup');

// When the operator hears of it, and when the start ends of it, as a part of the time that it may take.
const WARN_AFTER = 5000; // ms
const FAIL_AT = 0.9;

const TLS_ADVICE = 'Passenger ends TLS itself, and the application gets plain HTTP: make its server by ' +
  'http.createServer(), and give the certificate to Passenger (the options ssl_certificate and ssl_certificate_key).';
const HTTP2_ADVICE = 'Passenger speaks HTTP/2 to clients itself, and HTTP/1.1 to the application: make its server by ' +
  'http.createServer().';
const SOCKET_ADVICE = 'That is a server for any protocol: make one by http.createServer(), or, if it speaks HTTP by ' +
  'itself, have it call listen(\'passenger\').';
const INSTALL_ADVICE = 'Auto-installation is off (PhusionPassenger.configure), so that the server which is to get ' +
  'the requests has to call listen(\'passenger\').';

const servers = new Set();
let http;
let timers = [];

// expect begins to wait for the HTTP server, whose class is Server.
function expect(startTimeout, Server) {
  http = Server;
  const limit = Number(startTimeout) * FAIL_AT;
  if (!(limit > 0)) {
    return;
  }

  timers = [
    setTimeout(() => tell(warn), Math.min(WARN_AFTER, limit / 2)),
    setTimeout(() => tell(startup.fail), limit),
  ];
  timers.forEach((timer) => timer.unref());
}

// found ends that.
function found() {
  timers.forEach(clearTimeout);
  servers.clear();
}

// note remembers a server that listens and gets no requests.
function note(server) {
  servers.add(server);
}

function tell(report) {
  const listening = [...servers].filter((server) => server.listening);
  if (listening.length === 0) {
    return;
  }

  const kinds = listening.map((server) => ({ ...kindOf(server), where: describe(server.address()) }));
  const likely = kinds.find((kind) => kind.advice !== SOCKET_ADVICE) ?? kinds[0];
  const all = kinds.map((kind) => `${kind.name} on ${kind.where}`).join(', ');
  report(`The application listens by ${all}, and no server of it takes requests. ${likely.advice}`);
}

function kindOf(server) {
  switch (server.constructor.name) {
    case 'Http2SecureServer': return { name: 'HTTP/2 with TLS', advice: TLS_ADVICE };
    case 'Http2Server': return { name: 'HTTP/2', advice: HTTP2_ADVICE };
    default:
  }

  if (server instanceof http) {
    return { name: 'HTTP', advice: INSTALL_ADVICE };
  }

  // Who has made such a server has loaded it.
  return server instanceof require('tls').Server ? { name: 'TLS', advice: TLS_ADVICE } :
    { name: 'a socket', advice: SOCKET_ADVICE };
}

function describe(address) {
  return address !== null && typeof address === 'object' ? `port ${address.port}` : String(address);
}

function warn(text) {
  process.stderr.write(`Passenger's Node.js loader: ${text}\n`);
}

module.exports = { expect, found, note };
