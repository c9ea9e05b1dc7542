'use strict';

const http = require('node:http');

const bodies = new Map([
  ['/', Buffer.from('Hello, world!\n')],
  ['/64k', Buffer.alloc(64 << 10, 'x')],
  ['/1m', Buffer.alloc(1 << 20, 'x')],
]);

function respond(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
  res.end(body);
}

http.createServer((req, res) => {
  if (req.method === 'POST' && req.url === '/upload') {
    let length = 0;
    req.on('data', (chunk) => { length += chunk.length; });
    req.on('end', () => respond(res, 200, Buffer.from(`${length}\n`)));
    return;
  }
  const body = bodies.get(req.url);
  respond(res, body ? 200 : 404, body || Buffer.from('not found\n'));
}).listen(process.env.PORT || 3000, '127.0.0.1'); // a port, or the path of a socket
