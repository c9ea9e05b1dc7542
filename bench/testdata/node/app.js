'use strict';

const http = require('node:http');

const body = 'hello world\n';

http.createServer((req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
  res.end(body);
}).listen(3000);
