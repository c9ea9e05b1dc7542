'use strict';

// Loads a Node.js application and makes the first HTTP server that it starts
// listen where the spawner can reach it.

const application = require('./passenger_loader/application');
const handshake = require('./passenger_loader/handshake');
const listener = require('./passenger_loader/listener');
const shutdown = require('./passenger_loader/shutdown');
const startup = require('./passenger_loader/startup');

handshake.begin((options) => {
  startup.reportFailures();
  if (options.app_root) {
    process.chdir(options.app_root);
  }
  if (options.process_title) {
    process.title = options.process_title;
  }
  shutdown.onEndOfStdin();
  listener.install(options, (server, address) => {
    shutdown.watch(server);
    startup.succeeded();
    handshake.ready([`main;${address};http_session;0`]);
  });
  application.load(options.startup_file);
});
