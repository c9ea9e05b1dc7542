import { NextResponse } from 'next/server'

export default function proxy(request) {
  const about = new URL('/about', request.url)
  return request.nextUrl.pathname === '/rewritten' ? NextResponse.rewrite(about) : NextResponse.redirect(about)
}

export const config = { matcher: ['/rewritten', '/redirected'] }
