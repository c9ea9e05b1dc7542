'use strict';

// Responds with the process's id and what was asked for; /slow?ms=N takes N ms.

const fs = require('fs');
const http = require('http');

if (fs.existsSync('broken')) {
  throw new Error('broken on purpose');
}

http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  const body = `${process.pid} ${url.pathname}`;
  const respond = () => {
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
    res.end(body);
  };
  if (url.pathname === '/slow') {
    setTimeout(respond, Number(url.searchParams.get('ms')));
  } else {
    respond();
  }
}).listen(3000);
