# frozen_string_literal: true

require_relative "api"
require_relative "handshake"

module PassengerLoader
  # Loads the application and serves its requests.
  module Main
    KEEP_ALIVE = "session_keep_alive"

    module_function

    def run
      handshake = Handshake.new
      STDOUT.sync = STDERR.sync = true
      begin
        options = handshake.begin
      rescue Handshake::Error => e
        abort("Passenger's Rack loader: #{e.message}")
      end
      begin
        prepare_process(options)
        application = load_application(options.fetch("startup_file"))
        PhusionPassenger.fire(:starting_worker_process, false)
        listener = Listener.new(options)
      rescue Exception => e # rubocop:disable Lint/RescueException
        fail_start(handshake, e)
      end
      serve(handshake, options, application, listener)
    end

    def serve(handshake, options, application, listener)
      keep_alive = options["features"].to_s.split.include?(KEEP_ALIVE)
      server = Server.new(listener, options["connect_password"].to_s) do |connection, request|
        Exchange.new(application, connection, request, keep_alive).run
      end
      concurrency = PhusionPassenger.advertised_concurrency_level || 1
      handshake.ready(["main;#{listener.address};session;#{concurrency}"], keep_alive ? [KEEP_ALIVE] : [])
      server.run
    ensure
      listener.close
      PhusionPassenger.fire(:stopping_worker_process)
    end

    def prepare_process(options)
      Dir.chdir(options["app_root"] || File.dirname(options.fetch("startup_file")))
      Process.setproctitle(options["process_title"]) if options["process_title"]
      require "bundler/setup" if ENV["BUNDLE_GEMFILE"] || File.exist?("Gemfile")
      require_rack
    end

    # What needs Rack is loaded after Bundler has chosen which one.
    def require_rack
      begin
        require "rack"
      rescue LoadError => e
        raise LoadError, "cannot load Rack (#{e.message}). Add gem \"rack\" to the application's Gemfile, " \
                         "or install it: gem install rack"
      end
      require_relative "listener"
      require_relative "server"
      require_relative "exchange"
    end

    # Rack 2 returns the application and the options of the startup file's
    # first line, Rack 3 the application.
    def load_application(startup_file)
      loaded =
        if startup_file.end_with?(".ru")
          Rack::Builder.parse_file(startup_file)
        else
          Rack::Builder.load_file(startup_file)
        end
      loaded.is_a?(Array) ? loaded.first : loaded
    end

    # Reports a failed start and ends at once: what the application has
    # registered for the end of the process is for one that had started.
    def fail_start(handshake, error)
      handshake.error(error.full_message(highlight: false, order: :top))
      exit!(1)
    end
  end
end
