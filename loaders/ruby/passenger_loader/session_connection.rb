# frozen_string_literal: true

require_relative "connection"
require_relative "session_header"

module PassengerLoader
  # A connection that speaks the session protocol, one request after the other.
  class SessionConnection < Connection
    # Returns a request that has been received already, or nil.
    def next_request
      variables, finish = SessionHeader.parse(@received)
      return unless variables
      raise WrongPassword unless password?(variables.delete("PASSENGER_CONNECT_PASSWORD"))

      length = SessionHeader.content_length(variables)
      early = @received.byteslice(finish, length)
      finish += early.bytesize
      @received = finish == @received.bytesize ? String.new : @received.byteslice(finish..-1)
      @body = Body.new(self, early, length)
      Request.new(variables, @body)
    end

    private

    def received(piece)
      @received.empty? ? @received = piece : @received << piece
      next_request
    end
  end
end
