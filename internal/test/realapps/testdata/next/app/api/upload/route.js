export async function POST(request) {
  const form = await request.formData()
  const photo = form.get('photo')
  return Response.json({ name: photo.name, size: photo.size })
}
