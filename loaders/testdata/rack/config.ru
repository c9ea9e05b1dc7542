# frozen_string_literal: true

# An application with a route for each thing that a Rack server has to do right.

require "json"
require "rack/lint"
require "tempfile"

puts "the application prints while it loads"
print "and leaves a line unfinished"

CLOSED = []

class Body
  def initialize(name, &each)
    @name = name
    @each = each
  end

  def each(&block)
    @each.call(block)
  end

  def close
    CLOSED << @name
  end
end

class FileBody < Body
  def initialize(path)
    super("file") { |write| write.call(File.read(path)) }
    @path = path
  end

  def to_path
    @path
  end
end

LARGE = Tempfile.new("large").tap { |file| file.write("x" * 1_000_000) }.tap(&:flush)

PhusionPassenger.on_event(:starting_worker_process) { |forked| puts "starting, forked: #{forked}" }
PhusionPassenger.on_event(:stopping_worker_process) { puts "stopping" }
PhusionPassenger.on_event(:oob_work) { puts "working out of band" }
PhusionPassenger.on_event(:oob_work) { raise "the handler fails" }
PhusionPassenger.on_event(:oob_work) { require "a library for the handler" }

# The routes: env in, response out.
module Routes
  module_function

  def plain(body, headers = {})
    [200, { "content-type" => "text/plain" }.merge(headers), body]
  end

  def show_env(env)
    types = [String, TrueClass, FalseClass, Array]
    plain([JSON.generate(env.select { |_, value| types.any? { |type| type === value } })])
  end

  def echo(env)
    plain([env["rack.input"].read.to_s])
  end

  def echo_lines(env)
    input = env["rack.input"]
    parts = [input.gets, input.read(2), *input.enum_for(:each).first(1), input.read(3, +""), input.read]
    parts += [input.read, input.read(5), input.gets]
    plain([JSON.generate(parts)])
  end

  def rewind(env)
    input = env["rack.input"]
    first = input.read
    input.rewind
    plain([(first == input.read).to_s, first.bytesize.to_s])
  end

  def ignore_body(_env)
    plain(["ignored"])
  end

  def generator(_env)
    plain(Body.new("generator") { |write| ["one", "", "two"].each(&write) })
  end

  def file(_env)
    plain(FileBody.new(LARGE.path))
  end

  def fail(_env)
    raise "the application fails"
  end

  def fail_before_first_chunk(_env)
    plain(Body.new("before") { raise "the body fails" })
  end

  def fail_after_first_chunk(_env)
    plain(Body.new("after") { |write| write.call("one") && raise("the body fails") })
  end

  def fail_after_length(_env)
    plain(Body.new("length") { |write| write.call("whole") && raise("it fails late") }, "content-length" => "5")
  end

  def fail_to_close(_env)
    body = Body.new("fails") { |write| write.call("whole") }
    body.define_singleton_method(:close) { raise "it fails late" }
    plain(body)
  end

  def fail_to_close_array(_env)
    body = ["whole"]
    body.define_singleton_method(:close) { raise "it fails late" }
    plain(body)
  end

  def fail_to_close_file(_env)
    body = FileBody.new(LARGE.path)
    body.define_singleton_method(:close) { raise "it fails late" }
    plain(body)
  end

  def missing_code(_env)
    raise NotImplementedError
  end

  def bad_header(env)
    value = { "cr" => "a\r\nSet-Cookie: x", "nul" => "a\0b" }.fetch(env["QUERY_STRING"])
    [200, { "x-bad" => value }, Body.new("bad header") {}]
  end

  def many_headers(_env)
    plain(["many"], "x-lines" => "a\nb", "x-empty" => "")
  end

  def array_header(_env)
    plain(["many"], "x-lines" => %w[a b])
  end

  def bad_part(_env)
    plain([1])
  end

  def text_body(_env)
    [200, {}, "a string alone"]
  end

  def without_body(env)
    [env["QUERY_STRING"].to_i, {}, Body.new("without") { |write| write.call("must not be sent") }]
  end

  def too_much(_env)
    plain(%w[abc defg], "content-length" => "3")
  end

  def too_little(_env)
    plain(["abc"], "content-length" => "10")
  end

  def empty(_env)
    plain([])
  end

  def chunked_by_itself(_env)
    plain(["3\r\nown\r\n", "0\r\n\r\n"], "Transfer-Encoding" => "chunked")
  end

  def endless(_env)
    plain(Body.new("endless") { |write| loop { write.call("x" * 65_536) } })
  end

  def streaming(_env)
    plain(lambda { |stream|
      stream << "one"
      stream.write("two")
      stream.close
    })
  end

  def fail_to_tell(_env)
    raise Class.new(StandardError) { def message; raise "nothing to tell"; end }
  end

  def streaming_of_length(_env)
    plain(->(stream) { stream.write("one", "two") && stream.close }, "content-length" => "6")
  end

  def streaming_fails(_env)
    plain(lambda { |stream|
      stream << "one"
      raise "the stream fails"
    })
  end

  def upgrade(_env)
    [101, { "upgrade" => "echo", "connection" => "upgrade" }, lambda { |stream|
      stream.write(stream.readpartial(100).upcase)
      stream.close
    }]
  end

  def partial_hijack(_env)
    hijack = lambda { |io|
      io.write("hijacked")
      io.close
    }
    plain(Body.new("partial") { raise "not used" }, "rack.hijack" => hijack)
  end

  def full_hijack(env)
    io = env["rack.hijack"].call
    Thread.new do
      io.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n#{io.readpartial(4)}")
      io.close
    end
    [0, {}, Body.new("full") { raise "not used" }]
  end

  def response_finished(env)
    env["rack.response_finished"] << ->(_env, status, _headers, error) { puts "finished #{status} #{error.inspect}" }
    plain(["finishing"])
  end

  def latin1(env)
    plain([env["PATH_INFO"]], "x-echo" => env["HTTP_X_ECHO"], "x-utf8" => "é")
  end

  def mixed_encodings(env)
    parts = ["é", "\xFF".b, "é".encode("UTF-16LE"), ""]
    plain(parts, env["QUERY_STRING"].empty? ? {} : { "content-length" => env["QUERY_STRING"] })
  end

  def header_name(env)
    plain(["made up"], env["QUERY_STRING"] => "made up")
  end

  def known_names(_env)
    plain([PassengerLoader::Head::KNOWN.size.to_s])
  end

  def print_something(env)
    puts "printed in a request"
    env["rack.errors"].puts "complained in a request"
    plain(["ok"])
  end

  def wait(env)
    puts "waiting"
    plain([File.read(env["QUERY_STRING"])])
  end

  def which_closed(_env)
    plain([JSON.generate(CLOSED)])
  end

  def release(_env)
    plain([Rack.release])
  end

  def pid(_env)
    plain([Process.pid.to_s])
  end

  def lint(_env)
    plain(["lint found nothing"], "content-length" => "18")
  end
end

application = ->(env) { Routes.public_send(env["PATH_INFO"].split("/")[1], env) }
lint = Rack::Lint.new(application)

run ->(env) { env["PATH_INFO"].start_with?("/lint") ? lint.call(env) : application.call(env) }
