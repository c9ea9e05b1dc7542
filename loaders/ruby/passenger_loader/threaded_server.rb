# frozen_string_literal: true

require_relative "server"

module PassengerLoader
  # A server whose requests are served on threads. All connections between
  # requests stay with the thread that waits for them.
  class ThreadedServer < Server
    def initialize(listener, direct, password, threads, &handler)
      super
      @requests = Queue.new
      @served = Queue.new
      @wakened, @waker = IO.pipe
      @sources << @wakened
      @threads = Array.new(threads) { |number| start_thread(number + 1) }
    end

    # The requests that have arrived are served before it returns.
    def run
      super
      @requests.close
      @threads.each(&:join)
      settle_served
    end

    private

    # What the server of one request at a time would die of ends this one too.
    def start_thread(number)
      thread = Thread.new do
        Thread.current.report_on_exception = false
        Thread.current.abort_on_exception = true
        work
      end

      # Not by itself: it may not have run when backtraces are asked for.
      thread.name = "Passenger request #{number}"
      thread
    end

    def work
      while (connection, request = @requests.pop)
        @served << [connection, respond(connection, request)]
        @waker.write_nonblock(".", exception: false)
      end
    end

    def handle(source)
      return super unless source.equal?(@wakened)

      @wakened.read_nonblock(4096, exception: false)
      settle_served
    end

    # Takes the connection out of what is waited for, until the response is sent.
    def serve(connection, request)
      forget(connection)
      @requests << [connection, request]
    end

    def settle_served
      until @served.empty?
        connection, fate = @served.pop
        watch(connection)
        guard(connection) do
          request = connection.next_request if settle(connection, fate)
          serve(connection, request) if request && !@stopping
        end
      end
    end
  end
end
