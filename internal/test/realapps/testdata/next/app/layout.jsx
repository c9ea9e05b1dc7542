import './globals.css'

export const metadata = { title: 'Next.js under Passenger' }

export default function RootLayout({ children }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  )
}
