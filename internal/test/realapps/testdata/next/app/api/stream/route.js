import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export const dynamic = 'force-dynamic'

async function* events() {
  const text = new TextEncoder()
  yield text.encode('data: first\n\n')
  while (!fs.existsSync('second')) {
    await sleep(10)
  }
  yield text.encode('data: second\n\n')
}

export function GET() {
  const iterator = events()
  const stream = new ReadableStream({
    async pull(controller) {
      const { value, done } = await iterator.next()
      if (done) {
        controller.close()
      } else {
        controller.enqueue(value)
      }
    },
  })
  return new Response(stream, { headers: { 'Content-Type': 'text/event-stream' } })
}
