# frozen_string_literal: true

module PassengerLoader
  # Makes the gems of the application's bundle the ones that are loaded. Nothing
  # that could be one of them may have been loaded before.
  module Bundle
    OWN_SETUP = "config/setup_load_paths.rb"
    LOCKED_ENVIRONMENT = ".bundle/environment.rb"
    GEMFILES = %w[Gemfile gems.rb].freeze

    module_function

    # Expects the application's root to be the current directory.
    def setup
      if File.exist?(OWN_SETUP)
        require File.expand_path(OWN_SETUP)
      elsif File.exist?(LOCKED_ENVIRONMENT)
        require File.expand_path(LOCKED_ENVIRONMENT)
      elsif !ENV["BUNDLE_GEMFILE"].to_s.empty? || GEMFILES.any? { |name| File.exist?(name) }
        require "bundler/setup"
      end
    end
  end
end
