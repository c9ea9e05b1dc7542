# frozen_string_literal: true

module PassengerLoader
  # Why a request of direct access is not served.
  class Refusal < StandardError
    attr_reader :status

    def initialize(status, message)
      super(message)
      @status = status
    end
  end

  # The head of an HTTP request, by the letter of RFC 9112: what is ambiguous is
  # refused.
  class DirectHead
    MAX_FIELDS = 100
    MAX_BODY = 8 * 1024 * 1024

    PASSWORD = "x-passenger-connect-password"
    HIDDEN = [PASSWORD, "proxy"].freeze
    WITHOUT_PREFIX = { "content-type" => "CONTENT_TYPE", "content-length" => "CONTENT_LENGTH" }.freeze

    TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/n.freeze
    REQUEST_LINE = %r{\A(#{TOKEN}) (/[^\x00-\x20\x7F]*) HTTP/1\.([01])\z}n.freeze
    NAME = /\A#{TOKEN}\z/n.freeze
    CONTROL_CHARACTER = /[\x00-\x08\x0A-\x1F\x7F]/n.freeze

    attr_reader :method, :target, :password, :content_length

    # text is the head without the empty line that ends it.
    def initialize(text)
      line, *fields = text.split("\r\n", -1)
      @method, @target, @minor = REQUEST_LINE.match(line.to_s)&.captures
      raise Refusal.new(400, "This is not a request of HTTP/1.1.") unless @method
      raise Refusal.new(431, "The request has more than #{MAX_FIELDS} header fields.") if fields.size > MAX_FIELDS

      @fields = {}
      fields.each { |field| add(field) }
      @password = single(PASSWORD)
      check_host
      check_framing
    end

    def protocol
      "HTTP/1.#{@minor}"
    end

    def chunks?
      @minor == "1"
    end

    def expects_continue?
      chunks? && single("expect").to_s.casecmp?("100-continue")
    end

    # Refuses a body that cannot be received. It is for those who know the
    # password.
    def check_body
      if @fields.key?("transfer-encoding")
        raise Refusal.new(411, "Send the body with a Content-Length, and without Transfer-Encoding.")
      end

      return if @content_length <= MAX_BODY

      raise Refusal.new(413, "A body of more than #{MAX_BODY} bytes has to be sent through the web server.")
    end

    # The fields that an application may see, as CGI variables.
    def variables
      @fields.each_with_object({}) do |(name, values), variables|
        next if HIDDEN.include?(name) || !name.match?(/\A[a-z0-9-]+\z/)

        key = WITHOUT_PREFIX.fetch(name) { "HTTP_#{name.upcase.tr("-", "_")}" }
        variables[key] = values.join(name == "cookie" ? "; " : ",")
      end
    end

    private

    def add(line)
      name, value = line.split(":", 2)
      unless value && NAME.match?(name) && !CONTROL_CHARACTER.match?(value)
        raise Refusal.new(400, "The request has a malformed header field.")
      end

      (@fields[name.downcase] ||= []) << value.strip
    end

    def check_host
      hosts = @fields.fetch("host", []).size
      raise Refusal.new(400, "The request has not exactly one Host.") if hosts > 1 || (chunks? && hosts.zero?)
    end

    def check_framing
      lengths = @fields.fetch("content-length", [])
      if lengths.size > (@fields.key?("transfer-encoding") ? 0 : 1)
        raise Refusal.new(400, "The length of the request's body is ambiguous.")
      end

      unless lengths.all? { |length| length.match?(/\A\d{1,19}\z/) }
        raise Refusal.new(400, "The Content-Length is not a number.")
      end

      @content_length = lengths.first.to_i
    end

    # The value of a field that is there exactly once.
    def single(name)
      values = @fields.fetch(name, [])
      values.first if values.size == 1
    end
  end
end
