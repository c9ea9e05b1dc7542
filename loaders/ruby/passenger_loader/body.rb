# frozen_string_literal: true

module PassengerLoader
  # The body of a request, which ends after its content length. What belongs to
  # the next request is never read.
  class Body
    CHUNK = 64 * 1024

    # How many bytes have not been received.
    attr_reader :unreceived

    # early is what of the body came with the header.
    def initialize(connection, early, length)
      @connection = connection
      @buffer = early
      @unreceived = length - early.bytesize
    end

    # How many bytes have not been read.
    def size
      @unreceived + @buffer.bytesize
    end

    def read(length = nil, buffer = nil)
      data = length ? read_some(length) : read_all
      return data unless buffer

      buffer.replace(data || "")
      data && buffer
    end

    def gets
      searched = 0
      until (newline = @buffer.index("\n", searched))
        searched = @buffer.bytesize
        break unless receive
      end

      size = newline ? newline + 1 : @buffer.bytesize
      take(size) unless size.zero?
    end

    def each
      while (line = gets)
        yield line
      end
    end

    # Yields what is left, in pieces as they come.
    def each_piece
      yield take(@buffer.bytesize) unless @buffer.empty?
      yield take(@buffer.bytesize) while receive
    end

    def close
      @buffer = String.new
    end

    def external_encoding
      Encoding::BINARY
    end

    private

    def read_all
      nil while receive
      take(@buffer.bytesize)
    end

    def read_some(length)
      return String.new if length.zero?

      nil while @buffer.bytesize < length && receive
      take([length, @buffer.bytesize].min) unless @buffer.empty?
    end

    def receive
      return false if @unreceived.zero?

      piece = @connection.receive([CHUNK, @unreceived].min)
      @unreceived -= piece.bytesize
      @buffer << piece
      true
    end

    def take(size)
      return @buffer.slice!(0, size) if size < @buffer.bytesize

      taken = @buffer
      @buffer = String.new
      taken
    end
  end
end
