'use strict';

const fs = require('fs');
const Module = require('module');
const path = require('path');
const { pathToFileURL } = require('url');

// Runs the startup file as the main module, so that `require.main === module`
// and `!module.parent` say what they say under `node app.js`.
function load(startupFile) {
  process.argv[1] = startupFile;
  if (isESModule(startupFile)) {
    import(pathToFileURL(startupFile).href);
  } else {
    Module._load(startupFile, null, true);
  }
}

function isESModule(file) {
  switch (path.extname(file)) {
    case '.mjs': return true;
    case '.cjs': return false;
    default: return packageType(path.dirname(realpath(file))) === 'module';
  }
}

function realpath(file) {
  try {
    return fs.realpathSync(file);
  } catch {
    return file;
  }
}

// The "type" of the nearest package.json, which is how Node.js decides.
function packageType(directory) {
  try {
    return JSON.parse(fs.readFileSync(path.join(directory, 'package.json'), 'utf8')).type;
  } catch (err) {
    const parent = path.dirname(directory);
    if (err.code !== 'ENOENT' || parent === directory) {
      return undefined;
    }
    return packageType(parent);
  }
}

module.exports = { load };
