# frozen_string_literal: true

require "securerandom"
require "socket"

module PassengerLoader
  # A listening socket whose file, if it has one, goes with it.
  class Listener
    BACKLOG = 65_535 # the kernel cuts it to what it allows

    attr_reader :address

    def initialize(options)
      @owner = Process.pid
      if options["socket_dir"]
        listen_unix(options["socket_dir"], Integer(options.fetch("UNIX_PATH_MAX", 104)))
      else
        @server = TCPServer.new("127.0.0.1", 0)
        @address = "tcp://127.0.0.1:#{@server.addr[1]}"
      end
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
      # Somebody has removed it already.
    end

    private

    def listen_unix(directory, path_max)
      path = File.join(directory, "ruby.#{SecureRandom.hex(16)}")
      if path.bytesize >= path_max
        raise ArgumentError, "cannot listen on #{path}: a Unix socket's path has to be shorter than " \
                             "#{path_max} bytes. Choose a shorter instance directory."
      end
      umask = File.umask(0o177)
      begin
        @server = UNIXServer.new(path)
      ensure
        File.umask(umask)
      end
      @path = path
      @address = "unix:#{path}"
    end
  end
end
