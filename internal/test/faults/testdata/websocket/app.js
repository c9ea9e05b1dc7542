'use strict';

// Sends back what comes by a WebSocket, but does what a text says that is one of
// these: "close CODE", "close", "ping DATA", and "terminate". /codes has the codes
// that clients have closed with. FAULTS_WS is where the package ws is.

const http = require('http');

const { WebSocketServer } = require(process.env.FAULTS_WS);

const codes = [];
const server = http.createServer((req, res) => {
  res.end(req.url === '/codes' ? JSON.stringify(codes) : String(process.pid));
});
const sockets = new WebSocketServer({ server, path: '/socket', maxPayload: 4 << 20 });

sockets.on('connection', (socket) => {
  socket.on('message', (message, binary) => {
    const [word, rest] = binary || message.length > 100 ? [] : message.toString().split(' ');
    switch (word) {
      case 'close':
        socket.close(...(rest ? [Number(rest), 'as you wish'] : []));
        break;
      case 'ping':
        socket.ping(rest);
        break;
      case 'terminate':
        socket.terminate();
        break;
      default:
        socket.send(message, { binary });
    }
  });
  socket.on('pong', (data) => socket.send(`pong ${data}`));
  socket.on('close', (code) => codes.push(code));
  socket.on('error', () => socket.terminate());
});

server.listen(process.env.PORT || 3000);
