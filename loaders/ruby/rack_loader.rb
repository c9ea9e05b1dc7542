# frozen_string_literal: true

# Loads a Rack application and serves its requests by the session protocol.

require_relative "passenger_loader/main"

PassengerLoader::Main.run
