# frozen_string_literal: true

require_relative "failure"

module PassengerLoader
  # The spawn handshake 1.0, on stdin and stdout.
  #
  # What ends when the process is to end is moved to another descriptor, so that
  # neither the application nor what it starts can read it, and wait for it: their
  # stdin is empty.
  class Handshake
    MARKER = "!> "
    GREETING = "You have control 1.0"

    class Error < StandardError; end

    class << self
      # The spawner's end of it is closed when the process is to end.
      attr_reader :lifeline

      # What to read from: stdout is the same socket, and stdin is empty after an exec.
      def source
        return STDIN if STDIN.stat.socket? || !STDOUT.stat.socket?

        IO.for_fd(STDOUT.fileno, "r", autoclose: false)
      end

      # Leaves the lifeline of the process that this one was forked from.
      def hide_stdin
        null = File.open(File::NULL)
        former = @lifeline
        @lifeline = source.dup
        STDIN.reopen(null)
        null.close
        former&.close
      rescue SystemCallError
        @lifeline = STDIN # a root directory without devices
      end
    end

    # Takes control, or ends the process if the other side is no spawner.
    def begin_or_abort
      STDOUT.sync = STDERR.sync = true
      self.begin
    rescue Error => e
      STDERR.puts("Passenger's Rack loader: #{e.message}")
      exit!(1)
    end

    # Takes control and returns the options that the spawner sent.
    def begin
      write("#{MARKER}I have control 1.0\n")
      greeting, *lines = read_request.split("\n")
      unless greeting == GREETING
        raise Error, "the spawner sent #{greeting.inspect} instead of #{GREETING.inspect}"
      end

      Handshake.hide_stdin
      lines.to_h do |line|
        name, value = line.split(":", 2)
        [name, value.to_s.sub(/\A +/, "").force_encoding(Encoding::UTF_8)]
      end
    end

    # Tells the spawner where the process listens. The empty line keeps
    # unfinished output of the application from swallowing the first marker.
    def ready(sockets, features)
      lines = ["", "#{MARKER}Ready"]
      sockets.each { |socket| lines << "#{MARKER}socket: #{socket}" }
      lines << "#{MARKER}features: #{features.join(" ")}" unless features.empty?
      write([*lines, MARKER, ""].join("\n"))
    end

    # Reports a failed start and ends at once: what the application has
    # registered for the end of the process is for one that had started.
    def reporting_failure
      yield
    rescue Exception => e # rubocop:disable Lint/RescueException
      error(Failure.describe(e))
      exit!(1)
    end

    # Tells the spawner why the application does not start. The text goes up to
    # the end of the stream, which a child process of the application could
    # keep open: hence the shutdown.
    def error(text)
      write("\n#{MARKER}Error\n#{MARKER}\n#{text}\n")
      # Not before: it activates the gem io-wait, of which the bundle may want another version.
      require "socket"
      Socket.for_fd(STDOUT.fileno).tap { |socket| socket.autoclose = false }.shutdown(Socket::SHUT_WR)
    rescue SystemCallError, LoadError
      # A pipe, or the spawner is gone; or the bundle has no library for it.
    end

    private

    def read_request
      # Binary: a path may have any bytes, of which Ruby splits no text.
      received = String.new
      source = Handshake.source
      received << source.readpartial(8192) until received.end_with?("\n\n")
      received
    rescue EOFError, Errno::ECONNRESET
      raise Error, "the spawner closed the connection before it had sent its request"
    end

    def write(text)
      STDOUT.flush
      STDOUT.syswrite(text)
    rescue Errno::EPIPE, Errno::ECONNRESET
      # The spawner is gone: the end of stdin tells of it.
    end
  end
end
