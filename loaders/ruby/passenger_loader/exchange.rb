# frozen_string_literal: true

require_relative "connection"
require_relative "environment"
require_relative "failure"
require_relative "head"
require_relative "response"
require_relative "stream"

module PassengerLoader
  # One request: runs the application for it and has its response sent.
  class Exchange
    ERROR_HEADERS = { "content-type" => "text/plain; charset=utf-8" }.freeze
    ERROR_BODY = "Internal Server Error: the application failed. Its log says why.\n"

    def initialize(application, environment, connection, request, keep_alive)
      @application = application
      @environment = environment
      @connection = connection
      @request = request
      @response = Response.new(connection, keep_alive, request.variables["REQUEST_METHOD"] == "HEAD")
      @hijacked = false
    end

    # Responds to the request and returns what becomes of the connection: :keep,
    # :close, or :hijacked.
    def run
      env = @environment.build(@request, self)
      input = env["rack.input"]
      respond(env)
      fate
    rescue ClientGone
      fate
    ensure
      input.close if input.respond_to?(:close)
    end

    # rack.hijack: the application takes the connection.
    def call
      @hijacked = true
      @request.variables["rack.hijack_io"] = @connection.hijack
    end

    private

    def fate
      return :hijacked if @hijacked

      @response.keep? && !@connection.gone? ? :keep : :close
    end

    def respond(env)
      status, headers, body = @application.call(env)
      return if @hijacked

      @response.transmit_common(status, headers, body) ||
        transmit(Head.new(status, headers, @connection.server?), body)
    rescue *Failure::KINDS => e
      failure = e
      report(e)
    ensure
      close(body)
      finished(env, status, headers, failure)
    end

    def transmit(head, body)
      if head.hijack && (head.upgrade? || !@response.without_body?(head))
        hand_over(head, head.hijack)
      elsif body.respond_to?(:each)
        @response.transmit(head, body)
      elsif head.upgrade?
        hand_over(head, body)
      else
        stream(head, body)
      end
    end

    # Sends the head; what follows is between the application and the other
    # side.
    def hand_over(head, callable)
      framing = head.connection? ? "" : Response::CLOSE
      @hijacked = true
      @connection.send(head.finish(framing, keep_connection: true))
      callable.call(@connection.hijack)
    end

    # A streaming body of Rack 3, which may go on when call has returned.
    def stream(head, body)
      return @response.transmit(head, []) if @response.without_body?(head)
      unless body.respond_to?(:call)
        raise TypeError, "the response body is a #{body.class}, which has neither each nor call"
      end

      @hijacked = true
      chunked = @connection.chunks? && !head.framed? && head.content_length.nil?
      @connection.send(head.finish(chunked ? Response::CHUNKED + Response::CLOSE : Response::CLOSE))
      body.call(Stream.new(@connection, @request.body, chunked: chunked))
    end

    # A response that has begun is broken off, which tells the other side that it
    # is incomplete.
    def report(error)
      @response.abandon
      unless @connection.gone?
        STDERR.puts(Failure.describe(error))
        return if @response.started? || @hijacked

        @response.transmit(Head.new(500, ERROR_HEADERS, false), [ERROR_BODY])
      end
    ensure
      @connection.close if @hijacked
    end

    def close(body)
      body.close if body.respond_to?(:close)
    rescue *Failure::KINDS => e
      STDERR.puts(Failure.describe(e))
    end

    def finished(env, status, headers, failure)
      env["rack.response_finished"].reverse_each do |callable|
        callable.call(env, status, headers, failure)
      rescue *Failure::KINDS => e
        STDERR.puts(Failure.describe(e))
      end
    end
  end
end
