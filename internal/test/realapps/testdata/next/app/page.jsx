import { cookies } from 'next/headers'
import { redirect } from 'next/navigation'

// A server action: a form that works without JavaScript.
async function remember(form) {
  'use server'
  const jar = await cookies()
  jar.set('name', form.get('name'))
  redirect('/about')
}

export default async function Page() {
  const jar = await cookies()
  return (
    <main>
      <h1>Hello, {jar.get('name')?.value ?? 'Next.js'}!</h1>
      <form action={remember}>
        <input name="name" />
        <button>Remember me</button>
      </form>
    </main>
  )
}
