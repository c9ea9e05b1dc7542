# frozen_string_literal: true

require "rack/utils"

module PassengerLoader
  # The status and the headers of a response, checked, as the text that is sent.
  class Head
    NAME = /\A[!#$%&'*+\-.^_`|~0-9A-Za-z]+\z/.freeze
    NOT_IN_LINE = /[\r\n\0]/.freeze

    # Headers with a meaning here, by their names in small letters.
    KINDS = {
      "connection" => :connection,
      "transfer-encoding" => :transfer_encoding,
      "content-length" => :content_length
    }.freeze

    # How the core knows it; middlewares of Rack 3 may have changed its case.
    OUT_OF_BAND_WORK = "!~Request-OOB-Work"

    # What is known of names that were seen before: the kind of header, and how its
    # line begins. Applications have few names, and those that make them up get no more.
    KNOWN = {} # rubocop:disable Style/MutableConstant
    MAX_KNOWN = 256

    STATUS_LINES = Rack::Utils::HTTP_STATUS_CODES.to_h do |code, text|
      [code, "HTTP/1.1 #{code} #{text}\r\n".b.freeze]
    end.freeze

    class << self
      # The status has no body, whatever the application says.
      def bodyless?(status)
        status < 200 || status == 204 || status == 304
      end

      # Whether it is a value that can be sent as it is.
      def plain?(value)
        value.is_a?(String) && value.ascii_only? && !NOT_IN_LINE.match?(value)
      end
    end

    attr_reader :status, :hijack, :content_length

    # for_server tells whether the headers that are for the server only are sent.
    def initialize(status, headers, for_server)
      @status = Integer(status)
      unless (200..999).cover?(@status) || upgrade?
        # Others are interim, and who asks would wait for a final response that never comes.
        raise ArgumentError, "the status #{@status} is not that of a final response, from 200 to 999"
      end

      @for_server = for_server
      @text = (STATUS_LINES[@status] || "HTTP/1.1 #{@status} Unknown\r\n".b).dup
      headers.each { |name, value| add(name.to_s, value) }
    end

    def bodyless?
      Head.bodyless?(@status)
    end

    def upgrade?
      @status == 101
    end

    # The application, or a middleware, frames the body itself.
    def framed?
      !@transfer_encoding.nil?
    end

    # Ends the head with more lines, and returns it as it is sent: with the
    # application's own Connection header only if the connection is its to decide about.
    def finish(framing, keep_connection: false)
      @text << "Transfer-Encoding: " << @transfer_encoding << "\r\n" if @transfer_encoding
      @text << "Content-Length: " << @content_length.to_s << "\r\n" if @content_length && (@status == 304 || !bodyless?)
      @text << "Connection: " << @connection << "\r\n" if keep_connection && @connection
      @text << framing << "\r\n"
    end

    def connection?
      !@connection.nil?
    end

    private

    def add(name, value)
      kind, beginning = KNOWN[name] || look_at(name)
      if Head.plain?(value)
        add_line(kind, beginning, value)
      elsif kind == :hijack
        @hijack = value
      elsif kind != :ignored
        split(value).each { |single| add_line(kind, beginning, checked(name, single)) }
      end
    end

    def look_at(name)
      known = [kind(name), (name.casecmp?(OUT_OF_BAND_WORK) ? OUT_OF_BAND_WORK : name).b << ": "].each(&:freeze).freeze
      KNOWN.size < MAX_KNOWN ? KNOWN[name.dup.freeze] = known : known
    end

    def kind(name)
      return :hijack if name == "rack.hijack"
      return :ignored if name.start_with?("rack.")
      raise ArgumentError, "the response header name #{name.inspect} is not a token" unless NAME.match?(name)

      name.start_with?("!~") ? :for_server : KINDS.fetch(name.downcase, :other)
    end

    # Rack 3 has arrays of values, Rack 2 one string with a newline between
    # them.
    def split(value)
      values = Array(value).flat_map { |item| item.to_s.b.split("\n") }
      values.empty? ? [""] : values
    end

    def checked(name, value)
      return value unless NOT_IN_LINE.match?(value)

      raise ArgumentError, "the value #{value.inspect} of response header #{name} has a carriage return or NUL in it"
    end

    def add_line(kind, beginning, value)
      case kind
      when :other then @text << beginning << value << "\r\n"
      when :content_length then self.content_length = value
      when :for_server then @text << beginning << value << "\r\n" if @for_server
      when :connection then @connection = value
      when :transfer_encoding then @transfer_encoding = value
      when :hijack then @hijack = value
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
