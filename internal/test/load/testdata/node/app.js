'use strict';

// Answers with the process's id and what was asked for; /slow?ms=N takes N ms.

const fs = require('fs');
const http = require('http');

if (fs.existsSync('broken')) {
  throw new Error('broken on purpose');
}

http.createServer((req, res) => {
  const url = new URL(req.url, 'http://localhost');
  const body = `${process.pid} ${url.pathname}`;
  const answer = () => {
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': body.length });
    res.end(body);
  };
  if (url.pathname === '/slow') {
    setTimeout(answer, Number(url.searchParams.get('ms')));
  } else {
    answer();
  }
}).listen(3000);
