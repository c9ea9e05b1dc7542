# frozen_string_literal: true

require "forwardable"
require "stringio"
require "tempfile"

module PassengerLoader
  # A body that can be read a second time, as Rack 2 promises it. It is received
  # when it is first used.
  class RewindableBody
    extend Forwardable

    # Up to this size it stays in memory.
    MAX_IN_MEMORY = 1024 * 1024

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
      @stored ||= @body.size > MAX_IN_MEMORY ? in_file : StringIO.new(@body.read)
    end

    # A file without a name.
    def in_file
      file = Tempfile.create("passenger-body", binmode: true)
      File.unlink(file.path)
      @body.each_piece { |piece| file.write(piece) }
      file.rewind
      file
    end
  end
end
