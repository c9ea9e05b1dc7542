# frozen_string_literal: true

module PassengerLoader
  # The other side does not speak the session protocol.
  class ProtocolError < StandardError; end

  # A request came without the connect password.
  class WrongPassword < StandardError; end

  # One request of the session protocol: its CGI variables, without the
  # password, and its body.
  class Request
    LENGTH_SIZE = 4
    MAX_HEADER = 128 * 1024
    CONTROL_METHODS = %w[PING OOBW].freeze

    # Returns the variables and the header's length, or nil if it is incomplete.
    def self.parse_header(received)
      return if received.bytesize < LENGTH_SIZE

      length = received.unpack1("N")
      raise ProtocolError, "a request header of #{length} bytes is larger than #{MAX_HEADER}" if length > MAX_HEADER

      finish = LENGTH_SIZE + length
      return if received.bytesize < finish

      parts = received.byteslice(LENGTH_SIZE, length).split("\0", -1)
      unless (parts.pop || "").empty? && parts.size.even?
        raise ProtocolError, "a request header is not made of names and values"
      end

      [parts.each_slice(2).to_h, finish]
    end

    def self.content_length(variables)
      value = variables["CONTENT_LENGTH"] || "0"
      raise ProtocolError, "the content length #{value.inspect} is not a number" unless value.match?(/\A\d*\z/)

      value.to_i
    end

    attr_reader :variables, :body

    def initialize(variables, body)
      @variables = variables
      @body = body
    end

    # The method of a request to the process itself, else nil.
    def control
      return if variables.key?("REQUEST_URI")

      method = variables["REQUEST_METHOD"].to_s.upcase
      method if CONTROL_METHODS.include?(method)
    end
  end
end
