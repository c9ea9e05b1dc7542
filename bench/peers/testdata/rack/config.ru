# frozen_string_literal: true

BODIES = { "/" => "Hello, world!\n", "/64k" => "x" * (64 << 10), "/1m" => "x" * (1 << 20) }.freeze

run(lambda do |env|
  status = 200
  body = BODIES[env["PATH_INFO"]]
  if env["REQUEST_METHOD"] == "POST" && env["PATH_INFO"] == "/upload"
    length = 0
    while (chunk = env["rack.input"].read(64 << 10))
      length += chunk.bytesize
    end
    body = "#{length}\n"
  elsif body.nil?
    status = 404
    body = "not found\n"
  end
  [status, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
end)
