# frozen_string_literal: true

require "socket"
require_relative "handshake"

module PassengerLoader
  # SIGTERM from elsewhere than the spawner, as systemd sends it to all processes of
  # a unit at once: it means the end of the lifeline, so that what is in hand is
  # finished before the process ends. A second one, or one after the spawner has ended
  # the lifeline, ends the process at once.
  class Termination
    SIGNAL = "TERM"

    # Leaves an application that handles the signal alone, and a spawner whose lifeline
    # is no socket.
    def self.offer
      return unless Handshake.lifeline.stat.socket?

      former = trap(SIGNAL, "DEFAULT")
      if former == "DEFAULT"
        termination = new(Handshake.lifeline)
        trap(SIGNAL) { termination.handle }
      else
        trap(SIGNAL, former)
      end
    end

    def initialize(lifeline)
      @pid = Process.pid
      @lifeline = Socket.for_fd(lifeline.fileno)
      @lifeline.autoclose = false
    end

    def handle
      trap(SIGNAL, "DEFAULT")
      # Children of the application share the lifeline.
      if Process.pid != @pid || ended?
        Process.kill(SIGNAL, Process.pid)
      else
        @lifeline.shutdown(Socket::SHUT_RD)
      end
    end

    private

    def ended?
      bytes = @lifeline.recv_nonblock(1, Socket::MSG_PEEK, exception: false)
      bytes != :wait_readable && bytes.to_s.empty?
    rescue SystemCallError
      true
    end
  end
end
