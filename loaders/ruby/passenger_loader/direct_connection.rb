# frozen_string_literal: true

require_relative "connection"
require_relative "direct_head"

module PassengerLoader
  # A connection that brings one request by HTTP, of a client that knows the
  # connect password. The application runs when all of the request has arrived,
  # so that a slow client does not hold it up.
  class DirectConnection < Connection
    MAX_HEAD = 128 * 1024

    # How long the client may take for the head and for the body each, until it
    # reads again, and until it closes after the response.
    ARRIVAL_SECONDS = 60
    STALL_SECONDS = 10
    LINGER_SECONDS = 5

    # When to give it up; nil while the application runs.
    attr_reader :deadline

    def initialize(socket, password, server_port, peer)
      super(socket, password)
      @server_port = server_port
      @peer = peer
      @searched = 0
      allow(ARRIVAL_SECONDS)
    end

    def server?
      false
    end

    def chunks?
      @head.chunks?
    end

    def keepable?
      false
    end

    def linger
      allow(LINGER_SECONDS)
      super
    end

    def closed?
      @socket.closed?
    end

    def send(*data)
      data.each { |part| send_part(part) }
    rescue *GONE
      leave
    end

    def send_file(file, length)
      sent = 0
      while sent < length && (piece = file.read([READ_SIZE, length - sent].min))
        send(piece)
        sent += piece.bytesize
      end

      sent
    end

    private

    def sending?
      true
    end

    def received(piece)
      @received << piece
      return unless @head || take_head

      length = @head.content_length
      return if @received.bytesize < length

      @deadline = nil
      @body = Body.new(self, @received.slice!(0, length), length)
      Request.new(variables, @body)
    rescue Refusal => e
      refuse(e)
    end

    # Returns whether the head is complete.
    def take_head
      finish = @received.index(/\n\r?\n/n, [@searched - 2, 0].max)
      if (finish || @received.bytesize) > MAX_HEAD
        raise Refusal.new(431, "The request's head has more than #{MAX_HEAD} bytes.")
      end

      @searched = @received.bytesize
      return false unless finish
      unless @received.byteslice(finish - 1, 4) == "\r\n\r\n"
        raise Refusal.new(400, "A line of the request does not end with CR LF.")
      end

      @head = DirectHead.new(@received.slice!(0, finish + 3).chomp("\r\n\r\n"))
      admit
      true
    end

    def admit
      unless @head.password && password?(@head.password)
        STDERR.puts("Passenger's Rack loader: refused a request with a wrong connect password, by direct access")
        raise Refusal.new(403, "Send the process's connect password in the header X-Passenger-Connect-Password.")
      end

      @head.check_body
      allow(ARRIVAL_SECONDS)
      @socket.write_nonblock("HTTP/1.1 100 Continue\r\n\r\n", exception: false) if @head.expects_continue?
    end

    def refuse(refusal)
      reason = Rack::Utils::HTTP_STATUS_CODES.fetch(refusal.status, "Refused")
      text = "#{refusal.message}\n"
      @socket.write_nonblock("HTTP/1.1 #{refusal.status} #{reason}\r\nContent-Type: text/plain; charset=utf-8\r\n" \
                             "Content-Length: #{text.bytesize}\r\nConnection: close\r\n\r\n#{text}", exception: false)
      raise EOFError unless linger
    end

    def variables
      path, _, query = @head.target.partition("?")
      @head.variables.merge!(
        "REQUEST_METHOD" => @head.method, "REQUEST_URI" => @head.target,
        "SCRIPT_NAME" => "", "PATH_INFO" => path, "QUERY_STRING" => query,
        "SERVER_NAME" => "127.0.0.1", "SERVER_PORT" => @server_port.to_s, "SERVER_PROTOCOL" => @head.protocol,
        "REMOTE_ADDR" => @peer.ip_address, "REMOTE_PORT" => @peer.ip_port.to_s
      )
    end

    def send_part(part)
      part = part.b
      until part.empty?
        written = @socket.write_nonblock(part, exception: false)
        if written == :wait_writable
          leave unless IO.select(nil, [@socket], nil, STALL_SECONDS)
        else
          part = part.byteslice(written..-1)
        end
      end
    end

    def allow(seconds)
      @deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    end
  end
end
