'use strict';

const http = require('http');

console.log('the application prints while it loads');
process.stdout.write('and leaves a line unfinished');

const routes = {
  '/': (req, res) => res.end('hello'),
  '/main': (req, res) => res.end(JSON.stringify({
    main: require.main === module,
    parent: Boolean(module.parent),
    argv: process.argv[1],
    cwd: process.cwd(),
    title: process.title,
    address: server.address(),
  })),
  '/timeouts': (req, res) => res.end(JSON.stringify([
    server.keepAliveTimeout, server.headersTimeout, server.requestTimeout, server.timeout,
  ])),
  '/ignore_body': (req, res) => res.end('ignored'),
  '/show_env': (req, res) => res.end(JSON.stringify([req.headers, req.headersDistinct, req.rawHeaders])),
  '/keep_alive': (req, res) => res.writeHead(200, { Connection: 'keep-alive', 'Content-Length': 4 }).end('kept'),
  '/close': (req, res) => server.close(() => console.log('closed')) && res.end('closing'),
  '/echo': (req, res) => req.pipe(res),
  '/print': (req, res) => {
    console.log('printed in a request');
    res.end('ok');
  },
  '/wait': (req, res) => {
    console.log('waiting');
    res.write('begun ');
    process.once('SIGUSR2', () => res.end('finished'));
  },
  '/crash': () => {
    throw new Error('the application crashes');
  },
};

const server = http.createServer((req, res) => routes[req.url](req, res));

server.on('upgrade', (req, socket, head) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n');
  socket.write(head);
  socket.pipe(socket);
});

server.listen(Number(process.env.PORT || 3000), '0.0.0.0', () => console.log('the callback was called'));
server.on('listening', () => console.log('the event was emitted'));
// As for a load balancer of which Node.js must not close connections first.
server.keepAliveTimeout = 1;
