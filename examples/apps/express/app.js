'use strict';

// A small Express application.

const crypto = require('crypto');
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');

const busboy = require('busboy');
const cookieParser = require('cookie-parser');
const express = require('express');

const CHUNK = Buffer.alloc(64 * 1024, 'x');

const app = express();
app.use(cookieParser());

app.get('/', (req, res) => {
  res.send('<!doctype html><title>Express</title><h1>Hello from Express</h1>');
});

app.post('/form', express.urlencoded({ extended: false }), (req, res) => {
  res.json(req.body);
});

app.post('/upload', (req, res, next) => {
  if (!req.is('multipart/form-data')) {
    res.status(400).send("send a file in the form field 'file'");
    return;
  }
  let result;
  const form = busboy({ headers: req.headers });
  form.on('file', (name, file) => {
    const hash = crypto.createHash('sha256');
    let size = 0;
    file.on('data', (chunk) => {
      hash.update(chunk);
      size += chunk.length;
    });
    file.on('end', () => {
      if (name === 'file') {
        result = { size, sha256: hash.digest('hex') };
      }
    });
  });
  form.on('close', () => {
    if (result) {
      res.json(result);
    } else {
      res.status(400).send("send a file in the form field 'file'");
    }
  });
  pipeline(req, form).catch(next);
});

function* repeated(bytes) {
  for (let left = bytes; left > 0; left -= CHUNK.length) {
    yield left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
  }
}

app.get('/download', async (req, res) => {
  const bytes = Math.max(Number.parseInt(req.query.bytes ?? '1024', 10) || 0, 0);
  res.type('application/octet-stream');
  await pipeline(Readable.from(repeated(bytes)), res);
});

app.post('/chunked', async (req, res) => {
  res.type('application/octet-stream');
  await pipeline(req, res);
});

app.get('/cookies', (req, res) => {
  const visits = (Number.parseInt(req.cookies.visits, 10) || 0) + 1;
  res.cookie('visits', String(visits), { httpOnly: true, sameSite: 'lax' });
  res.json({ visits });
});

app.get('/redirect', (req, res) => {
  res.redirect('/');
});

app.get('/pid', (req, res) => {
  res.type('text/plain').send(String(process.pid));
});

app.get('/crash', (req, res, next) => {
  if (process.env.CRASH !== '1') {
    next();
    return;
  }
  process.kill(process.pid, 'SIGKILL');
});

// A client that goes away in the middle of a response is not an error.
app.use((err, req, res, next) => {
  if (err.code !== 'ERR_STREAM_PREMATURE_CLOSE') {
    next(err);
  }
});

app.listen(process.env.PORT || 3000);
