# frozen_string_literal: true

require "socket"

module PassengerLoader
  # The command for a worker, as it arrives on a connection of its own.
  class SpawnCommand
    # This is not a command that a preloader obeys.
    class Invalid < StandardError; end

    NAME = "spawn"
    MAX_SIZE = 64 * 1024
    SECONDS = 10
    MAX_RIGHTS = 4096

    # The connection, and the worker's stderr if one came.
    attr_reader :socket, :stderr

    # takes_stderr: a descriptor that comes with the command was agreed on.
    def initialize(socket, takes_stderr)
      @socket = socket
      @takes_stderr = takes_stderr
      @received = String.new
      @files = []
      @deadline = now + SECONDS
    end

    def to_io
      @socket
    end

    # Receives what is there and returns whether the command is complete.
    def receive
      piece, _, _, *controls = @socket.recvmsg_nonblock(MAX_SIZE, 0, MAX_RIGHTS, scm_rights: true, exception: false)
      return false if piece == :wait_readable

      @files.concat(controls.flat_map { |control| control.unix_rights || [] })
      raise Invalid, "it ended too early: #{@received.inspect}" if piece.nil? || piece.empty?

      @received << piece
      complete?
    rescue SystemCallError => e
      raise Invalid, e.message
    end

    def patience
      [@deadline - now, 0].max
    end

    def late?
      @deadline <= now
    end

    def close
      @files.each(&:close)
      @socket.close
    end

    private

    def complete?
      raise Invalid, "it is longer than #{MAX_SIZE} bytes" if @received.bytesize > MAX_SIZE

      name, rest = @received.split("\n", 2)
      raise Invalid, "#{name.inspect} is unknown" unless rest ? name == NAME : NAME.start_with?(name)

      finish = @received.index("\n\n")
      return false unless finish
      raise Invalid, "something follows it" if finish + 2 < @received.bytesize

      take_stderr
      true
    end

    def take_stderr
      if @takes_stderr && @files.size == 1
        @stderr = @files.first
      else
        @files.each(&:close).clear
      end
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
