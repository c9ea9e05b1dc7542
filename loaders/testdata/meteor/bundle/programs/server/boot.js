'use strict';

// Stands in for the server of a Meteor bundle: what it wants of its environment.

const http = require('http');

const { BIND_IP, HTTP_FORWARDED_COUNT, METEOR_SETTINGS, PORT, ROOT_URL } = process.env;

if (METEOR_SETTINGS) {
  try {
    JSON.parse(METEOR_SETTINGS);
  } catch {
    throw new Error('METEOR_SETTINGS are not valid JSON.');
  }
}
if (!ROOT_URL) {
  throw new Error('Must pass options.rootUrl or set ROOT_URL in the server environment');
}

http.createServer((req, res) => {
  res.setHeader('Content-Type', 'application/json');
  res.end(JSON.stringify({ ROOT_URL, METEOR_SETTINGS, HTTP_FORWARDED_COUNT, cwd: process.cwd(), pid: process.pid }));
}).listen(Number(PORT || 0), BIND_IP || '0.0.0.0');
