# frozen_string_literal: true

require_relative "common_response"
require_relative "connection"

module PassengerLoader
  # Frames a response whose body the application enumerates, and sends it.
  class Response
    CHUNKED = "Transfer-Encoding: chunked\r\n"
    CLOSE = "Connection: close\r\n"

    def initialize(connection, keep_alive, is_head)
      @connection = connection
      @keep = keep_alive
      @started = false
      @complete = false
      @is_head = is_head
    end

    # Whether something may have been sent.
    def started?
      @started
    end

    # Whether the connection can be kept.
    def keep?
      @keep
    end

    # Whether nothing follows the head.
    def without_body?(head)
      @is_head || head.bodyless?
    end

    # Sends a common response, and returns whether it is one.
    def transmit_common(status, headers, body)
      return false if @is_head

      keep = @keep && @connection.keepable?
      text = CommonResponse.build(status, headers, body, keep)
      return false unless text

      @keep = keep
      @started = true
      @connection.send(text)
      @complete = true
    end

    def transmit(head, body)
      if without_body?(head)
        start(head, head.content_length)
        flush
        @complete = true
      elsif (path = whole_file(head, body))
        send_file(head, path)
      else
        send_parts(head, body)
      end
    end

    # Gives the connection up in the middle of a response. Behind the end of one that has
    # not announced it, the next request may be on its way.
    def abandon
      @keep = false unless @complete
    end

    private

    # Decides on the framing. The head is sent together with what comes first
    # after it.
    def start(head, length)
      framing = ""
      @chunked = false
      @left = nil # of the content length
      if without_body?(head)
        # The head is all.
      elsif head.framed?
        @keep = false
      elsif length
        @left = length
        framing = "Content-Length: #{length}\r\n" unless head.content_length
      elsif @connection.chunks?
        @chunked = true
        framing = CHUNKED
      else
        @keep = false
      end

      @keep &&= @connection.keepable?
      @pending = head.finish(@keep ? framing : framing + CLOSE)
    end

    def flush(*data)
      @started = true
      data.unshift(@pending) if @pending
      @pending = nil
      @connection.send(*data) unless data.empty?
    end

    def send_parts(head, body)
      length = head.content_length
      length ||= body.sum(&:bytesize) if body.is_a?(Array) && !head.framed?
      start(head, length)
      body.each { |part| write(part) }
      finish
    end

    def write(part)
      raise TypeError, "the response body has a #{part.class} where a String is due" unless part.is_a?(String)
      return if part.empty?

      if @chunked
        flush("#{part.bytesize.to_s(16)}\r\n", part, "\r\n")
      else
        part = within_length(part) if @left
        flush(part)
        @complete = @left&.zero?
      end
    end

    def within_length(part)
      if part.bytesize > @left
        warn("the application sent more than its Content-Length; the rest was cut off")
        part = part.byteslice(0, @left)
      end

      @left -= part.bytesize
      part
    end

    def finish
      flush(*("0\r\n\r\n" if @chunked))
      @complete = @left.nil? || @left.zero?
      return if @complete

      @keep = false
      warn("the application sent #{@left} bytes less than its Content-Length")
    end

    # The path of a body that is a regular file and nothing but it.
    def whole_file(head, body)
      return if head.framed? || !body.respond_to?(:to_path)

      path = body.to_path
      return unless path && File.file?(path)

      path if head.content_length.nil? || head.content_length == File.size(path)
    end

    def send_file(head, path)
      File.open(path, "rb") do |file|
        start(head, head.content_length || file.size)
        flush
        @left -= @connection.send_file(file, @left)
      end

      finish
    end

    def warn(message)
      STDERR.puts("Passenger's Rack loader: #{message}")
    end
  end
end
