/** @type {import('next').NextConfig} */
export default {
  async redirects() {
    return [{ source: '/old', destination: '/about', permanent: true }]
  },
}
