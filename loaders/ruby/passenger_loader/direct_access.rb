# frozen_string_literal: true

require_relative "direct_connection"

module PassengerLoader
  # Direct access to this process by HTTP, for operators. There are only so many
  # connections, and each has a deadline.
  class DirectAccess
    MAX_CONNECTIONS = 32

    def initialize(listener, password)
      @listener = listener
      @password = password
      @connections = []
    end

    def address
      @listener.address
    end

    def to_io
      @listener.to_io
    end

    # Returns a connection, or nil if there are too many.
    def accept
      socket = @listener.accept
      return unless socket

      forget_closed
      return socket.close if @connections.size >= MAX_CONNECTIONS

      connection = DirectConnection.new(socket, @password, @listener.to_io.addr[1], socket.remote_address)
      @connections << connection
      connection
    rescue SystemCallError
      # The client is gone already.
      socket&.close
    end

    # How many seconds there are until the next deadline; nil means that there is none.
    def patience
      return if @connections.empty?

      forget_closed
      soonest = @connections.map(&:deadline).compact.min
      [soonest - now, 0].max if soonest
    end

    # The connections whose deadline has passed.
    def late
      return [] if @connections.empty?

      @connections.select { |connection| connection.deadline && connection.deadline <= now && !connection.closed? }
    end

    private

    def forget_closed
      @connections.reject!(&:closed?)
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
