'use strict';

// Loads a Node.js application and makes the first HTTP server that it starts
// listen where the spawner can reach it.

const { PhusionPassenger, announceExit } = require('./passenger_loader/api');
const application = require('./passenger_loader/application');
const backtraces = require('./passenger_loader/backtraces');
const clientAddress = require('./passenger_loader/client_address');
const cluster = require('./passenger_loader/cluster');
const directAccess = require('./passenger_loader/direct_access');
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
    process.title = [options.process_title, options.app_group_name].filter(Boolean).join(': ');
  }

  const api = new PhusionPassenger(options);
  globalThis.PhusionPassenger = api;
  shutdown.onEndOfLifeline(() => announceExit(api));
  cluster.install(shutdown.stop, listener.preferWorker);

  function ready(...sockets) {
    const level = api.advertisedConcurrencyLevel;
    startup.succeeded();

    const lines = sockets.map(({ name, address, protocol, concurrency }) =>
      [name, address, protocol, level ?? concurrency].join(';'));
    handshake.ready(lines, [...clientAddress.offer(options), ...backtraces.offer(options)]);
  }

  listener.install(api, (server, address) => {
    shutdown.watch(server);
    cluster.listening();
    const main = { name: 'main', address, protocol: 'http_session', concurrency: 0 };
    if (!options.connect_password) {
      ready(main);
      return;
    }

    directAccess.open(server, options.connect_password, (directAddress) => {
      ready(main, { name: 'http', address: directAddress, protocol: 'http', concurrency: 1 });
    });
  }, shutdown.closeToo);
  application.load(options.startup_file, options.startup_file_uid);
});
