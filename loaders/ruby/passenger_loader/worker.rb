# frozen_string_literal: true

require_relative "backtraces"
require_relative "direct_access"
require_relative "exchange"
require_relative "listener"
require_relative "server"
require_relative "termination"
require_relative "threaded_server"

module PassengerLoader
  # A process that has the application loaded and serves its requests.
  class Worker
    KEEP_ALIVE = "session_keep_alive"

    def initialize(handshake, options, application)
      @handshake = handshake
      @options = options
      @application = application
      @password = options["connect_password"].to_s
      @threads = [options["thread_count"].to_i, 1].max
      @features = options["features"].to_s.split & [KEEP_ALIVE]
    end

    # Serves until the spawner closes its end of stdin. The block is for what has
    # to be done before the application learns that it starts.
    def run(forked:)
      server = @handshake.reporting_failure do
        yield if block_given?
        PhusionPassenger.fire(:starting_worker_process, forked)
        listen
        Backtraces.print_on_sigquit
        Termination.offer
        @features += Backtraces.offer(@options)
        PhusionPassenger.fire(:after_installing_signal_handlers)
        new_server(@features.include?(KEEP_ALIVE))
      end

      serve { forked ? run_on_thread(server) : server.run }
    end

    private

    def listen
      @listener = Listener.for(@options)
      @direct = DirectAccess.new(Listener.tcp, @password) unless @password.empty?
    end

    def serve
      @handshake.ready(sockets, @features)
      yield
    ensure
      @listener.close
      PhusionPassenger.fire(:stopping_worker_process)
    end

    # A new thread's memory comes from elsewhere than the main thread's, so that
    # what requests need for a moment does not fill the gaps between what is
    # shared with the preloader, which would be shared no longer.
    def run_on_thread(server)
      begin
        thread = Thread.new { server.run }
      rescue ThreadError
        # The user's limit on processes is reached. Memory is worth less than requests.
        return server.run
      end

      thread.report_on_exception = false
      thread.join
    end

    def new_server(keep_alive)
      type = @threads > 1 ? ThreadedServer : Server
      environment = Environment.new(@threads > 1)
      type.new(@listener, @direct, @password, @threads) do |connection, request|
        Exchange.new(@application, environment, connection, request, keep_alive).run
      end
    end

    def sockets
      concurrency = PhusionPassenger.advertised_concurrency_level
      sockets = ["main;#{@listener.address};session;#{concurrency || @threads}"]
      sockets << "http;#{@direct.address};http;#{concurrency || 1}" if @direct
      sockets
    end
  end
end
