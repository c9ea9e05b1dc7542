# frozen_string_literal: true

require "rack/utils"

module PassengerLoader
  # The status and the headers of a response, checked and split.
  class Head
    NAME = /\A[!#$%&'*+\-.^_`|~0-9A-Za-z]+\z/.freeze

    # What is known of names that were seen before: in small letters; nil: it is
    # no name. Applications have few, and those that make them up get no more.
    KNOWN = {} # rubocop:disable Style/MutableConstant
    MAX_KNOWN = 256

    STATUS_LINES = Rack::Utils::HTTP_STATUS_CODES.to_h { |code, text| [code, "HTTP/1.1 #{code} #{text}\r\n".freeze] }.freeze

    # How the core knows it; middlewares of Rack 3 may have changed its case.
    OUT_OF_BAND_WORK = "!~Request-OOB-Work"

    attr_reader :status, :hijack, :content_length

    def initialize(status, headers)
      @status = Integer(status)
      raise ArgumentError, "the status #{@status} is not a number of three digits" unless (100..999).cover?(@status)

      @lines = []
      @connection = nil
      @transfer_encoding = nil
      @content_length = nil
      headers.each { |name, value| add(name.to_s, value) }
    end

    # The status has no body, whatever the application says.
    def bodyless?
      @status < 200 || @status == 204 || @status == 304
    end

    def upgrade?
      @status == 101
    end

    # The application, or a middleware, frames the body itself.
    def framed?
      !@transfer_encoding.nil?
    end

    # Leaves out what is for the server and not for people.
    def for_people
      @lines.reject! { |line| line.start_with?("!~") }
      self
    end

    # The head as it is sent, with more headers and the application's own
    # Connection header only if the connection is its to decide about.
    def to_s(framing, keep_connection: false)
      text = String.new(STATUS_LINES[@status] || "HTTP/1.1 #{@status} Unknown\r\n", encoding: Encoding::BINARY, capacity: 512)
      @lines.each { |line| text << line << "\r\n" }
      text << "Transfer-Encoding: " << @transfer_encoding.b << "\r\n" if @transfer_encoding
      text << "Content-Length: #{@content_length}\r\n" if @content_length && (@status == 304 || !bodyless?)
      text << "Connection: " << @connection.b << "\r\n" if keep_connection && @connection
      framing.each { |line| text << line << "\r\n" }
      text << "\r\n"
    end

    def connection?
      !@connection.nil?
    end

    private

    def add(name, value)
      if name == "rack.hijack"
        @hijack = value
        return
      end

      return if name.start_with?("rack.")
      raise ArgumentError, "the response header name #{name.inspect} is not a token" unless (folded = folded(name))

      if value.is_a?(String) && !value.include?("\n")
        add_single(name, folded, value)
      else
        split(value).each { |single| add_single(name, folded, single) }
      end
    end

    def folded(name)
      KNOWN.fetch(name) do
        folded = name.downcase.freeze if NAME.match?(name)
        KNOWN.size < MAX_KNOWN ? KNOWN[name.dup.freeze] = folded : folded
      end
    end

    # Rack 3 has arrays of values, Rack 2 one string with a newline between
    # them.
    def split(value)
      values = Array(value).flat_map { |item| item.to_s.b.split("\n") }
      values.empty? ? [""] : values
    end

    def add_single(name, folded, value)
      value = value.b unless value.ascii_only?
      if value.include?("\r") || value.include?("\0")
        raise ArgumentError, "the value #{value.inspect} of response header #{name} has a carriage return or NUL in it"
      end

      case folded
      when "connection" then @connection = value
      when "transfer-encoding" then @transfer_encoding = value
      when "content-length" then self.content_length = value
      when "!~request-oob-work" then @lines << "#{OUT_OF_BAND_WORK}: #{value}"
      else @lines << "#{name}: #{value}"
      end
    end

    def content_length=(value)
      length = Integer(value, 10) if value.match?(/\A\d+\z/)
      if length.nil? || (@content_length && @content_length != length)
        raise ArgumentError, "the application's Content-Length is not one number"
      end

      @content_length = length
    end
  end
end
