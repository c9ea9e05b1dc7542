# frozen_string_literal: true

require_relative "head"

module PassengerLoader
  # Makes the response to most requests, whose body is an array of a few strings, as one
  # string. Head has the rules for headers. A response that needs more than its tables,
  # or that they refuse, is left to Head and Response.
  module CommonResponse
    BEGINNINGS = Head::STATUS_LINES.reject { |status, _| Head.bodyless?(status) }.freeze

    # A larger body is sent beside the head, and not copied behind it.
    MAX_PARTS = 256
    MAX_SIZE = 16 * 1024

    LENGTH = "Content-Length: ".b.freeze
    KEEP = "\r\n\r\n".b.freeze
    CLOSE = "\r\nConnection: close\r\n\r\n".b.freeze

    module_function

    # Returns the response, or nil if it is not a common one.
    def build(status, headers, body, keep)
      beginning = BEGINNINGS[status]
      return unless beginning && headers.is_a?(Hash) && body.instance_of?(Array) && body.size <= MAX_PARTS

      text = beginning.dup
      length = nil
      headers.each do |name, value|
        return nil unless Head.plain?(value)

        kind, line = Head::KNOWN[name]
        if kind == :other
          text << line << value << "\r\n"
        elsif kind == :content_length && length.nil?
          length = value
        else
          return nil
        end
      end

      size = size(body)
      return unless size && (length.nil? || length == size.to_s)

      text << LENGTH << (length || size.to_s) << (keep ? KEEP : CLOSE)
      body.each { |part| text << (part.ascii_only? ? part : part.b) }
      text
    end

    def size(body)
      size = 0
      body.each do |part|
        return nil unless part.is_a?(String)

        size += part.bytesize
      end

      size if size <= MAX_SIZE
    end
  end
end
