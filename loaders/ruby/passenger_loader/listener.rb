# frozen_string_literal: true

require "securerandom"
require "socket"

module PassengerLoader
  # A listening socket whose file, if it has one, goes with it.
  class Listener
    BACKLOG = 65_535 # the kernel cuts it to what it allows
    NAME_BYTES = 5 # of a socket's name, in hexadecimal digits: paths of sockets have to be short
    TRIES = 10

    class << self
      # Listens where the spawner wants it.
      def for(options)
        options["socket_dir"] ? unix(options) : tcp
      end

      # Listens by a short name that is free.
      def unix(options)
        path_max = Integer(options.fetch("UNIX_PATH_MAX", 104))
        directory = options.fetch("socket_dir") { raise ArgumentError, "the spawner names no socket_dir to listen in" }
        tries = 0
        begin
          path = File.join(directory, "ruby.#{SecureRandom.hex(NAME_BYTES)}")
          if path.bytesize >= path_max
            raise ArgumentError, "cannot listen on #{path}: a Unix socket's path has to be shorter than " \
                                 "#{path_max} bytes. Choose a shorter instance directory."
          end

          new(protected_socket(path), "unix:#{path}", path)
        rescue Errno::EADDRINUSE
          retry if (tries += 1) < TRIES
          raise
        end
      end

      def tcp
        server = TCPServer.new("127.0.0.1", 0)
        new(server, "tcp://127.0.0.1:#{server.addr[1]}")
      end

      private

      def protected_socket(path)
        umask = File.umask(0o177)
        UNIXServer.new(path)
      ensure
        File.umask(umask)
      end
    end

    attr_reader :address

    def initialize(server, address, path = nil)
      @server = server
      @address = address
      @path = path
      @owner = Process.pid
      @server.listen(BACKLOG)
    end

    def to_io
      @server
    end

    # Returns a connection, or nil if it went away before.
    def accept
      socket = @server.accept_nonblock(exception: false)
      return if socket == :wait_readable

      socket.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1) if socket.is_a?(TCPSocket)
      socket
    rescue Errno::ECONNABORTED, Errno::EPROTO
      nil
    end

    def close
      @server.close
      File.unlink(@path) if @path && Process.pid == @owner
    rescue Errno::ENOENT
      # It was removed already.
    end
  end
end
