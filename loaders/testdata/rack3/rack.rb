# frozen_string_literal: true

# What the loader uses of Rack, as Rack 3 has it, or another release by the environment.

require_relative "rack/utils"

module Rack
  VERSION = [1, 3].freeze

  def self.release
    ENV.fetch("RACK_RELEASE", "3.1.0")
  end

  class Builder
    def self.new_from_string(text, path)
      new.tap { |builder| builder.instance_eval(text, path) }.to_app
    end

    def run(app)
      @app = app
    end

    def to_app
      @app
    end
  end
end
