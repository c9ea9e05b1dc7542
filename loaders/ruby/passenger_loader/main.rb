# frozen_string_literal: true

require_relative "application"
require_relative "handshake"

module PassengerLoader
  # Loads the application and serves its requests.
  module Main
    module_function

    def run
      handshake = Handshake.new
      options = handshake.begin_or_abort
      application = handshake.reporting_failure do
        Process.setproctitle(options["process_title"]) if options["process_title"]
        Application.load(options)
      end
      Worker.new(handshake, options, application).run(forked: false)
    end
  end
end
