# frozen_string_literal: true

require "rack"

require_relative "rewindable_body"

module PassengerLoader
  # Makes the environments that the application gets.
  class Environment
    BEFORE_RACK_3 = Rack.release.start_with?("1.", "2.")
    HTTPS = %w[on 1 yes true].freeze

    def initialize(multithread)
      @constants = {
        "rack.url_scheme" => "http",
        "rack.errors" => STDERR,
        "rack.multithread" => multithread,
        "rack.multiprocess" => true,
        "rack.run_once" => false,
        "rack.hijack?" => true
      }
      @constants["rack.version"] = Rack::VERSION if BEFORE_RACK_3
      @constants.freeze
    end

    def build(request, hijack)
      env = request.variables
      env.update(@constants)
      env.delete("CONTENT_LENGTH") if env["CONTENT_LENGTH"]&.empty?
      env["QUERY_STRING"] ||= ""
      env["SCRIPT_NAME"] ||= ""
      protocol = env["SERVER_PROTOCOL"]
      env["HTTP_VERSION"] = protocol if protocol
      https = env["HTTPS"]
      env["rack.url_scheme"] = "https" if https && HTTPS.include?(https.downcase)
      env["rack.input"] = BEFORE_RACK_3 ? RewindableBody.new(request.body) : request.body
      env["rack.hijack"] = hijack
      env["rack.response_finished"] = []
      env
    end
  end
end
