# frozen_string_literal: true

module PassengerLoader
  # What a streaming body of Rack 3 is called with: it reads the request's body
  # and writes the response's. Closing it ends the response and the connection.
  class Stream
    def initialize(connection, input, chunked:)
      @connection = connection
      @input = input
      @chunked = chunked
      @closed = false
    end

    def read(*args)
      @input.read(*args)
    end

    def write(*parts)
      raise IOError, "the stream is closed" if @closed

      parts.sum do |part|
        data = part.to_s
        send(data) unless data.empty?
        data.bytesize
      end
    end

    def <<(data)
      write(data)
      self
    end

    def flush
      self
    end

    def close_read; end

    def close_write
      close
    end

    def close(_error = nil)
      return if @closed

      @closed = true
      begin
        @connection.send("0\r\n\r\n") if @chunked
      rescue ClientGone
        # The end cannot be sent.
      ensure
        @connection.close
      end
    end

    def closed?
      @closed
    end

    private

    def send(data)
      if @chunked
        @connection.send("#{data.bytesize.to_s(16)}\r\n", data, "\r\n")
      else
        @connection.send(data)
      end
    end
  end
end
