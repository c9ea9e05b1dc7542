# frozen_string_literal: true

require "rack"

require_relative "rewindable_body"

module PassengerLoader
  # Makes the environment that the application gets.
  module Environment
    RACK_2 = Rack.release.start_with?("2.")
    HTTPS = %w[on 1 yes true].freeze

    module_function

    def build(request, hijack, multithread)
      env = request.variables
      env.delete("CONTENT_LENGTH") if env["CONTENT_LENGTH"]&.empty?
      env["QUERY_STRING"] ||= ""
      env["SCRIPT_NAME"] ||= ""
      env["HTTP_VERSION"] = env["SERVER_PROTOCOL"] if env["SERVER_PROTOCOL"]
      env["rack.version"] = Rack::VERSION if RACK_2
      https = env["HTTPS"]
      env["rack.url_scheme"] = https && HTTPS.include?(https.downcase) ? "https" : "http"
      env["rack.input"] = RACK_2 ? RewindableBody.new(request.body) : request.body
      env["rack.errors"] = STDERR
      env["rack.multithread"] = multithread
      env["rack.multiprocess"] = true
      env["rack.run_once"] = false
      env["rack.hijack?"] = true
      env["rack.hijack"] = hijack
      env["rack.response_finished"] = []
      env
    end
  end
end
