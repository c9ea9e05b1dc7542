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
      env.delete("CONTENT_LENGTH") if env["CONTENT_LENGTH"].to_s.empty?
      env["QUERY_STRING"] ||= ""
      env["SCRIPT_NAME"] ||= ""
      env["HTTP_VERSION"] = env["SERVER_PROTOCOL"] if env["SERVER_PROTOCOL"]
      env["rack.version"] = Rack::VERSION if RACK_2
      env.merge!(
        "rack.url_scheme" => HTTPS.include?(env["HTTPS"].to_s.downcase) ? "https" : "http",
        "rack.input" => RACK_2 ? RewindableBody.new(request.body) : request.body,
        "rack.errors" => STDERR,
        "rack.multithread" => multithread,
        "rack.multiprocess" => true,
        "rack.run_once" => false,
        "rack.hijack?" => true,
        "rack.hijack" => hijack,
        "rack.response_finished" => []
      )
    end
  end
end
