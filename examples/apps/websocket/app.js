'use strict';

// Echoes what comes by a WebSocket at /.

const fs = require('fs');
const http = require('http');
const path = require('path');

const { WebSocketServer } = require('ws');

const page = fs.readFileSync(path.join(__dirname, 'index.html'));

const server = http.createServer((req, res) => {
  switch (req.url) {
    case '/':
      res.setHeader('Content-Type', 'text/html; charset=utf-8');
      res.end(page);
      break;
    case '/pid':
      res.end(String(process.pid));
      break;
    default:
      res.statusCode = 404;
      res.end('Not found\n');
  }
});

const sockets = new WebSocketServer({ server, path: '/' });

sockets.on('connection', (socket) => {
  socket.on('message', (message, binary) => socket.send(message, { binary }));
  socket.on('error', () => socket.terminate());
});

server.listen(process.env.PORT || 3000);
