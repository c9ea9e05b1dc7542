'use strict';

// Sends server-sent events: one in a tenth of a second at /events, as many as
// ?count= says, or without end.

const fs = require('fs');
const http = require('http');
const path = require('path');

const INTERVAL = 100;

const page = fs.readFileSync(path.join(__dirname, 'index.html'));

function events(req, res, count) {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
  res.flushHeaders();
  let sent = 0;
  const timer = setInterval(() => {
    sent += 1;
    res.write(`id: ${sent}\ndata: ${JSON.stringify({ number: sent, time: new Date() })}\n\n`);
    if (sent >= count) {
      res.end();
    }
  }, INTERVAL);
  res.on('close', () => clearInterval(timer));
}

const server = http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  switch (url.pathname) {
    case '/':
      res.setHeader('Content-Type', 'text/html; charset=utf-8');
      res.end(page);
      break;
    case '/events':
      events(req, res, Number(url.searchParams.get('count')) || Infinity);
      break;
    case '/pid':
      res.end(String(process.pid));
      break;
    default:
      res.statusCode = 404;
      res.end('Not found\n');
  }
});

server.listen(process.env.PORT || 3000);
