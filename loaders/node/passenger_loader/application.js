'use strict';

const fs = require('fs');
const Module = require('module');

// Runs the startup file the way `node app.js` does: as the main module, of the
// kind that its name, its package.json or its text make it.
function load(startupFile, owner) {
  checkOwner(startupFile, owner);
  process.argv[1] = startupFile;
  Module.runMain();
}

// The owner of the file has decided which user the process runs as. It can still be replaced
// between here and when Node.js reads it.
function checkOwner(startupFile, owner) {
  if (owner === undefined) {
    return;
  }

  const { uid } = fs.statSync(startupFile);
  if (uid !== Number(owner)) {
    throw new Error(`${startupFile} belongs to user ${uid} now, and the process runs as user ${owner}, ` +
      'who owned it when the start began. Start again when it is not being replaced.');
  }
}

module.exports = { load };
