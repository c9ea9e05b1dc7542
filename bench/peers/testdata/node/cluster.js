'use strict';

const cluster = require('node:cluster');
const path = require('node:path');

cluster.setupPrimary({ exec: path.join(__dirname, 'app.js') });
for (let i = 0; i < 2; i++) cluster.fork();
process.on('SIGTERM', () => process.exit());
