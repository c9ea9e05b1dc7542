# frozen_string_literal: true

# Loads a Rack application once and forks processes that serve its requests.

require_relative "passenger_loader/preloader"

PassengerLoader::Preloader.new.run
