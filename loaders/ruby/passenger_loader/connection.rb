# frozen_string_literal: true

require_relative "body"
require_relative "password"
require_relative "request"

module PassengerLoader
  # The other side closed the connection in the middle of a request.
  class ClientGone < IOError; end

  # A connection that requests come by. Between requests it waits without
  # blocking, so that a process can have many of them open while it serves one.
  #
  # A subclass finds the requests in what arrives: its received is called with
  # each piece and returns a request when one is complete.
  class Connection
    READ_SIZE = 64 * 1024

    # How much of a request body that the application left unread is thrown
    # away to keep the connection open.
    MAX_DRAIN = 256 * 1024

    GONE = [Errno::EPIPE, Errno::ECONNRESET, Errno::ENOTCONN, EOFError].freeze

    def initialize(socket, password)
      @socket = socket.binmode
      @password = Password.new(password)
      @received = String.new
      @skip = 0
      @lingering = false
      @gone = false
    end

    def to_io
      @socket
    end

    def gone?
      @gone
    end

    # Waiting for a request.

    # Receives what is there and returns a request if it is complete. EOFError
    # says that nothing more will come. The buffer is overwritten.
    def poll(buffer)
      piece = @socket.read_nonblock(READ_SIZE, buffer, exception: false)
      return if piece == :wait_readable
      raise EOFError if piece.nil?

      return received(piece) if @skip.zero? && !@lingering

      skipped = [@skip, piece.bytesize].min
      @skip -= skipped
      if @lingering
        raise EOFError if @skip.zero?

        return
      end

      received(piece.byteslice(skipped..-1))
    rescue *GONE
      raise EOFError
    end

    # Serving it.

    # Whether the server has opened it, and not a client of this process.
    def server?
      true
    end

    # Whether the other side understands chunked responses.
    def chunks?
      true
    end

    def receive(size)
      @socket.readpartial(size)
    rescue *GONE
      leave
    end

    def send(*data)
      return @socket.write(*data) if data.size > 1

      # It keeps Ruby's lock, which takes longer to release and get back than to send.
      data, = data
      sent = @socket.write_nonblock(data, exception: false)
      return if sent == data.bytesize

      @socket.write(sent == :wait_writable ? data : data.byteslice(sent..-1))
    rescue *GONE
      leave
    end

    # Sends length bytes of a file from where it stands.
    def send_file(file, length)
      IO.copy_stream(file, @socket, length)
    rescue *GONE
      leave
    end

    # Gives the socket away, with what has arrived for the application already.
    def hijack
      @socket.ungetbyte(@received) unless @received.empty?
      @received = String.new
      @socket
    end

    # Says whether what is left of the request body is worth draining.
    def keepable?
      @body.unreceived <= MAX_DRAIN
    end

    # After it.

    # Makes the connection wait for the next request.
    def keep
      @skip = @body.unreceived
      @body = nil
    end

    # Ends the response and returns whether the connection has to be polled on: to
    # close it while the other side is still sending would make it lose the
    # response.
    def linger
      return false if @gone || !sending?

      @socket.shutdown(Socket::SHUT_WR)
      @lingering = true
      @skip = MAX_DRAIN
      @body = nil
      true
    rescue SystemCallError
      false
    end

    def close
      @socket.close
    end

    private

    # Whether the other side may have more to send.
    def sending?
      !@body.unreceived.zero?
    end

    def leave
      @gone = true
      raise ClientGone, "the client closed the connection in the middle of a request"
    end

    def password?(got)
      @password.match?(got.to_s)
    end
  end
end
