'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { Readable } = require('node:stream')
const { setTimeout: sleep } = require('node:timers/promises')

const fastify = require('fastify')({ logger: true, trustProxy: true })

fastify.register(require('@fastify/formbody'))
fastify.register(require('@fastify/multipart'), { limits: { fileSize: 10 * 1024 * 1024 } })
fastify.register(require('@fastify/static'), { root: path.join(__dirname, 'assets'), prefix: '/assets/' })

fastify.get('/', async (request, reply) => {
  return { hello: 'world' }
})

fastify.post('/form', {
  schema: { body: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } } }
}, async (request, reply) => {
  return { name: request.body.name }
})

fastify.post('/upload', async (request, reply) => {
  const data = await request.file()
  const content = await data.toBuffer()
  return { name: data.filename, size: content.length }
})

fastify.get('/old', async (request, reply) => {
  return reply.redirect('/')
})

fastify.get('/address', async (request, reply) => {
  return request.ip
})

// Server-sent events.
async function * events () {
  yield 'data: first\n\n'
  while (!fs.existsSync('second')) {
    await sleep(10)
  }
  yield 'data: second\n\n'
}

fastify.get('/events', (request, reply) => {
  reply.type('text/event-stream').send(Readable.from(events()))
})

const start = async () => {
  try {
    await fastify.listen({ port: 3000 })
  } catch (err) {
    fastify.log.error(err)
    process.exit(1)
  }
}
start()
