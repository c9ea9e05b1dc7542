# frozen_string_literal: true

require_relative "application"
require_relative "handshake"
require_relative "process_title"

module PassengerLoader
  # Loads the application and serves its requests.
  module Main
    module_function

    def run
      handshake = Handshake.new
      options = handshake.begin_or_abort
      application = handshake.reporting_failure do
        ProcessTitle.worker(options)
        Application.load(options)
      end

      Worker.new(handshake, options, application).run(forked: false)
    end
  end
end
