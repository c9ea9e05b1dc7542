# frozen_string_literal: true

module PassengerLoader
  # The other side does not speak the session protocol.
  class ProtocolError < StandardError; end

  # A request came without the connect password.
  class WrongPassword < StandardError; end

  # One request: its CGI variables, without the password, and its body.
  class Request
    CONTROL_METHODS = %w[PING OOBW].freeze

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
