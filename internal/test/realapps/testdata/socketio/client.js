'use strict'

// node client.js URL TRANSPORTS MESSAGES: chats, and prints the ids of the processes
// that acknowledged its messages, without doubles. A server that does not remember the
// session, or that loses a message, is a failure.

const { io } = require('socket.io-client')

const [url, transports, messages] = process.argv.slice(2)

// By cookies the server knows which process has the session.
const socket = io(url, {
  transports: transports.split(','),
  withCredentials: true,
  reconnection: false,
  timeout: 10000
})

function fail (what) {
  console.error(`cannot chat by ${transports}:`, what)
  process.exit(1)
}

socket.on('connect_error', (err) => fail([err.message, err.description, err.context?.responseText]))
socket.on('disconnect', (reason) => fail(reason))

socket.on('connect', async () => {
  const seen = new Set()
  const heard = []
  // Other clients chat as well.
  socket.on('chat message', (msg) => msg.startsWith(socket.id) && heard.push(msg))
  for (let i = 0; i < Number(messages); i++) {
    seen.add(await socket.timeout(10000).emitWithAck('chat message', `${socket.id} says ${i}`).catch(fail))
  }
  if (await socket.timeout(10000).emitWithAck('upload', Buffer.alloc(500000, 'x')).catch(fail) !== 500000) {
    fail('the upload is incomplete')
  }
  if (heard.length !== Number(messages)) {
    fail(`heard ${heard.length} messages of ${messages}`)
  }
  socket.off('disconnect')
  console.log([...seen].join(' '), socket.io.engine.transport.name)
  socket.close()
})
