# frozen_string_literal: true

require_relative "connection"
require_relative "session_header"

module PassengerLoader
  # A connection that speaks the session protocol, one request after the other.
  class SessionConnection < Connection
    # Returns a request that has been received already, or nil.
    def next_request
      return if @received.empty?

      received = @received
      @received = String.new
      take_request(received)
    end

    private

    def received(piece)
      return take_request(piece) if @received.empty?

      @received << piece
      next_request
    end

    # Returns the request if it is complete, and keeps the bytes behind it. unpack1 copies
    # them: a slice shares the server's buffer, which Ruby then copies as a whole.
    def take_request(received)
      finish = SessionHeader.finish(received)
      return keep_received(received, 0) unless finish

      variables = SessionHeader.parse(received, finish)
      raise WrongPassword unless password?(variables.delete("PASSENGER_CONNECT_PASSWORD"))

      length = SessionHeader.content_length(variables)
      early = length.zero? ? received.byteslice(0, 0) : received.unpack1("@#{finish}a#{length}")
      finish += early.bytesize
      keep_received(received, finish) if finish < received.bytesize
      @body = Body.new(self, early, length)
      Request.new(variables, @body)
    end

    def keep_received(received, from)
      @received = received.unpack1("@#{from}a*")
      nil
    end
  end
end
