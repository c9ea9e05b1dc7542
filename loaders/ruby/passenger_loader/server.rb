# frozen_string_literal: true

require_relative "handshake"
require_relative "session_connection"

module PassengerLoader
  # Serves until the spawner closes its end of stdin.
  #
  # The handler is called with a connection and a request, responds, and
  # returns what becomes of the connection: :keep, :close, or :hijacked if it
  # belongs to the application now. While it runs nothing else is done: the
  # process serves one request at a time. Between requests all connections are
  # waited for together, so that an idle one blocks no other.
  class Server
    CONTROL_REPLIES = { "PING" => "pong", "OOBW" => "oobw done" }.freeze

    # direct is the direct access to the process, or nil.
    def initialize(listener, direct, password, _threads, &handler)
      @listener = listener
      @direct = direct
      @password = password
      @handler = handler
      @lifeline = Handshake.lifeline
      @sources = [@lifeline, listener, *direct].map(&:to_io)
      @connections = {}.compare_by_identity # by their sockets
      @buffer = String.new(capacity: Connection::READ_SIZE)
      @stopping = false
    end

    def run
      until @stopping
        @watched ||= [*@sources, *@connections.keys]
        readable, = IO.select(@watched, nil, nil, @direct&.patience)
        readable&.each { |source| handle(source) }
        @direct&.late&.each { |connection| drop(connection) }
      end
    end

    private

    def handle(source)
      if (connection = @connections[source])
        advance(connection)
      elsif source.equal?(@lifeline)
        read_lifeline
      elsif source.equal?(@listener.to_io)
        accept
      elsif source.equal?(@direct&.to_io)
        admit(@direct.accept)
      end
    end

    def read_lifeline
      @stopping = true if @lifeline.read_nonblock(4096, exception: false).nil?
    rescue SystemCallError
      @stopping = true
    end

    def accept
      socket = @listener.accept
      admit(SessionConnection.new(socket, @password)) if socket
    end

    def admit(connection)
      return unless connection

      watch(connection)
      advance(connection)
    end

    # Serves the requests that have arrived on a connection.
    def advance(connection)
      guard(connection) do
        request = connection.poll(@buffer)
        serve(connection, request) if request
      end
    end

    def serve(connection, request)
      while request
        return unless settle(connection, respond(connection, request))

        request = connection.next_request
      end
    end

    def guard(connection)
      yield
    rescue EOFError
      drop(connection)
    rescue WrongPassword
      warn("refused a request with a wrong connect password")
      drop(connection)
    rescue ProtocolError => e
      warn("closed a connection: #{e.message}")
      drop(connection)
    end

    def respond(connection, request)
      method = request.control
      return @handler.call(connection, request) unless method

      PhusionPassenger.fire(:oob_work) if method == "OOBW"
      connection.send(CONTROL_REPLIES.fetch(method))
      :close
    rescue ClientGone
      :close
    end

    # Returns whether more requests may come.
    def settle(connection, fate)
      case fate
      when :keep
        connection.keep
        return true
      when :close
        drop(connection) unless connection.linger
      when :hijacked
        forget(connection)
      end

      false
    end

    def drop(connection)
      forget(connection)
      connection.close
    end

    def watch(connection)
      @connections[connection.to_io] = connection
      @watched = nil
    end

    def forget(connection)
      @connections.delete(connection.to_io)
      @watched = nil
    end

    def warn(message)
      STDERR.puts("Passenger's Rack loader: #{message}")
    end
  end
end
