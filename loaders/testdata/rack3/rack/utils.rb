# frozen_string_literal: true

module Rack
  module Utils
    HTTP_STATUS_CODES = { 200 => "OK" }.freeze

    def self.secure_compare(one, other)
      one == other
    end
  end
end
