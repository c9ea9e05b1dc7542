# Counts how often the body of each response was closed: /counts has the numbers, by
# the query of the request.

COUNTS = Hash.new(0)

class Body
  def initialize(name, &each)
    @name = name
    @each = each
  end

  def each(&block)
    @each.call(block)
  end

  def close
    COUNTS[@name] += 1
    warn "closed #{@name}."
  end
end

def respond(env)
  name = env['QUERY_STRING']
  pieces = ->(give) { 3.times { give.call('x' * 1000) } }
  headers = { 'Content-Type' => 'text/plain' }
  case env['PATH_INFO']
  when '/full' then [200, headers, Body.new(name, &pieces)]
  when '/length' then [200, headers.merge('Content-Length' => '3000'), Body.new(name, &pieces)]
  when '/empty' then [204, {}, Body.new(name) { nil }]
  when '/unmodified' then [304, {}, Body.new(name, &pieces)]
  when '/endless' then [200, headers, Body.new(name) { |give| loop { give.call('x' * 10_000) } }]
  when '/raise' then [200, headers, Body.new(name) { raise 'on purpose' }]
  when '/late'
    [200, headers, Body.new(name) { |give| give.call('x' * 100_000); raise 'on purpose' }]
  when '/wrong' then [200, { "Bad\r\nName" => "x\r\ny" }, Body.new(name, &pieces)]
  when '/partial'
    hijack = ->(io) { io.write('hijacked'); io.close }
    [200, headers.merge('rack.hijack' => hijack), Body.new(name, &pieces)]
  when '/hijack'
    io = env['rack.hijack'].call
    io.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhijacked")
    io.close
    [200, headers, Body.new(name, &pieces)]
  when '/counts' then [200, headers, [COUNTS.map { |n, count| "#{n}=#{count}" }.sort.join(' ')]]
  else [404, headers, ['Not found']]
  end
end

run ->(env) { respond(env) }
