# frozen_string_literal: true

require_relative "request"

module PassengerLoader
  # The header of a request in the session protocol: a length, then names and
  # values that end with a NUL each.
  module SessionHeader
    LENGTH_SIZE = 4
    MAX_SIZE = 128 * 1024

    module_function

    # Returns where the header ends, or nil if it is incomplete.
    def finish(received)
      return if received.bytesize < LENGTH_SIZE

      length = received.unpack1("N")
      raise ProtocolError, "a request header of #{length} bytes is larger than #{MAX_SIZE}" if length > MAX_SIZE

      finish = LENGTH_SIZE + length
      finish if finish <= received.bytesize
    end

    # Returns the variables of a header that ends there.
    def parse(received, finish)
      return {} if finish == LENGTH_SIZE

      # The NUL at the end is left out, so that Ruby copies instead of sharing the buffer.
      parts = received.byteslice(LENGTH_SIZE, finish - LENGTH_SIZE - 1).split("\0", -1)
      unless parts.size.even? && !parts.empty? && received.getbyte(finish - 1).zero?
        raise ProtocolError, "a request header is not made of names and values"
      end

      # The first is faster, and for no more than fits on the stack.
      parts.size < 1024 ? Hash[*parts] : parts.each_slice(2).to_h
    end

    def content_length(variables)
      value = variables["CONTENT_LENGTH"]
      return 0 unless value
      raise ProtocolError, "the content length #{value.inspect} is not a number" unless value.match?(/\A\d*\z/)

      value.to_i
    end
  end
end
