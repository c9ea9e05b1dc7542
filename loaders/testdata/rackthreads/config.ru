# frozen_string_literal: true

# An application that tells how many requests are in it at once.

require "json"

LOCK = Mutex.new
STATE = { inside: 0, most: 0, closed: 0 }

def inside
  LOCK.synchronize { STATE[:most] = [STATE[:most], STATE[:inside] += 1].max }
  yield
ensure
  LOCK.synchronize { STATE[:inside] -= 1 }
end

# A body that counts how often it was closed.
class Counted
  def each
    yield "counted"
  end

  def close
    LOCK.synchronize { STATE[:closed] += 1 }
  end
end

ROUTES = {
  "/state" => ->(env) { [JSON.generate(STATE.merge(multithread: env["rack.multithread"]))] },
  "/wait" => lambda { |env|
    puts "waiting for #{env["QUERY_STRING"]}"
    [File.read(env["QUERY_STRING"])]
  },
  "/thread" => ->(_env) { [(Thread.current == Thread.main).to_s] },
  "/threads" => ->(_env) { [Thread.list.size.to_s] },
  "/counted" => ->(_env) { Counted.new },
  "/fail" => ->(_env) { raise "the application fails" },
  "/exit" => ->(_env) { exit 7 }
}.freeze

run ->(env) { inside { [200, {}, ROUTES.fetch(env["PATH_INFO"]).call(env)] } }
