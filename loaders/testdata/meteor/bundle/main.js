'use strict';

const path = require('path');

process.chdir(path.join(__dirname, 'programs', 'server'));
require('./programs/server/boot.js');
