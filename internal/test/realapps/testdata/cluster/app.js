'use strict';

// An application that serves by the workers of a cluster, as the documents of its packages show.

const cluster = require('cluster');
const fs = require('fs');
const http = require('http');
const log4js = require('log4js');
const { AggregatorRegistry, Counter } = require('prom-client');
const { RateLimiterCluster, RateLimiterClusterMaster } = require('rate-limiter-flexible');

const logger = log4js.getLogger();
logger.level = 'info';

if (cluster.isMaster) {
  const aggregator = new AggregatorRegistry();
  new RateLimiterClusterMaster();
  for (let i = 0; i < 4; i++) {
    cluster.fork();
  }

  logger.info('the primary process');
  http.createServer((req, res) => aggregator.clusterMetrics().then((text) => res.end(text))).listen(3001);
  // What a test asks the primary process for goes by the worker's server.
  globalThis.clusterMetrics = () => aggregator.clusterMetrics();
} else {
  new AggregatorRegistry();
  const requests = new Counter({ name: 'requests_total', help: 'Requests.' });
  const limiter = new RateLimiterCluster({ keyPrefix: 'test', points: 3, duration: 600, timeoutMs: 3000 });

  http.createServer(async (req, res) => {
    requests.inc();
    logger.info(`request for ${req.url}`);
    if (req.url === '/figures') {
      res.end(await globalThis.clusterMetrics());
      return;
    }
    if (req.url === '/upload') {
      let size = 0;
      for await (const part of req) size += part.length;
      res.end(`${size} bytes`);
      return;
    }
    if (req.url === '/events') {
      res.setHeader('Content-Type', 'text/event-stream');
      res.write('data: first\n\n');
      const timer = setInterval(() => {
        if (!fs.existsSync('second')) return;
        clearInterval(timer);
        res.end('data: second\n\n');
      }, 10);
      return;
    }

    try {
      const { remainingPoints } = await limiter.consume('everybody');
      res.end(`${remainingPoints} left`);
    } catch (refusal) {
      res.statusCode = refusal instanceof Error ? 500 : 429;
      res.end(refusal instanceof Error ? refusal.stack : 'too many');
    }
  }).listen(3000);
}
