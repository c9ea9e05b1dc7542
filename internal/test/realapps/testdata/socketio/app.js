'use strict'

const express = require('express')
const { existsSync } = require('node:fs')
const { createServer } = require('node:http')
const { join } = require('node:path')
const { Server } = require('socket.io')

const app = express()
const server = createServer(app)
const io = new Server(server)

app.get('/', (req, res) => {
  res.sendFile(join(__dirname, 'index.html'))
})

app.get('/events', (req, res) => {
  res.set('Content-Type', 'text/event-stream')
  res.write('data: first\n\n')
  const timer = setInterval(() => {
    if (existsSync('second')) {
      clearInterval(timer)
      res.end('data: second\n\n')
    }
  }, 10)
})

io.on('connection', (socket) => {
  socket.emit('welcome', process.pid)
  socket.on('chat message', (msg, acknowledge) => {
    io.emit('chat message', msg)
    acknowledge?.(process.pid)
  })
  socket.on('upload', (file, acknowledge) => {
    acknowledge(file.length)
  })
})

server.listen(3000, () => {
  console.log('server running at http://localhost:3000')
})
