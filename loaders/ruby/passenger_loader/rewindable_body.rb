# frozen_string_literal: true

require "forwardable"
require "rack"
require "stringio"

module PassengerLoader
  # A body that can be read a second time, as Rack 2 promises it. It is received
  # when it is first used.
  class RewindableBody
    extend Forwardable

    # Up to this size it stays in memory.
    MAX_IN_MEMORY = 112 * 1024

    def_delegators :stored, :gets, :each, :read, :rewind, :size

    def initialize(body)
      @body = body
    end

    def close
      @stored&.close
    end

    def external_encoding
      Encoding::BINARY
    end

    private

    def stored
      @stored ||= @body.size > MAX_IN_MEMORY ? Rack::RewindableInput.new(@body) : StringIO.new(@body.read)
    end
  end
end
