# frozen_string_literal: true

# Responds with the process's id and what was asked for; /slow?ms=N takes N ms.

raise "broken on purpose" if File.exist?("broken")

run lambda { |env|
  sleep env["QUERY_STRING"][/ms=(\d+)/, 1].to_i / 1000.0 if env["PATH_INFO"] == "/slow"
  body = "#{Process.pid} #{env['PATH_INFO']}"
  [200, { "content-type" => "text/plain", "content-length" => body.bytesize.to_s }, [body]]
}
