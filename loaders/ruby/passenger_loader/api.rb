# frozen_string_literal: true

require_relative "failure"

# What applications may call.
module PhusionPassenger
  EVENTS = %i[after_installing_signal_handlers oob_work starting_worker_process stopping_worker_process].freeze

  LIBRARIES = { "rack/out_of_band_gc" => "passenger_loader/out_of_band_gc" }.freeze

  @handlers = Hash.new { |handlers, event| handlers[event] = [] }

  class << self
    # The number of requests at once that the loader reports for every socket; 0
    # means no limit, nil what the process was started with.
    attr_accessor :advertised_concurrency_level

    # Registers a block for an event. That of :starting_worker_process is called
    # with whether the process was forked by a preloader.
    def on_event(event, &block)
      unless EVENTS.include?(event)
        known = EVENTS.map(&:inspect).join(", ")
        warn("PhusionPassenger.on_event: there is no event #{event.inspect}, only #{known}. " \
             "Its handler will never be called.")
      end

      @handlers[event] << block
    end

    # Runs the blocks of an event. One that fails does not keep the others from
    # running.
    def fire(event, *args)
      @handlers[event].each do |handler|
        handler.call(*args)
      rescue *PassengerLoader::Failure::KINDS => e
        STDERR.puts("The application's handler of #{event} failed: #{PassengerLoader::Failure.describe(e)}")
      end
    end

    # Loads a library that comes with the loader.
    def require_passenger_lib(name)
      file = LIBRARIES.fetch(name.to_s) do
        known = LIBRARIES.keys.map(&:inspect).join(", ")
        raise LoadError, "there is no Passenger library #{name.inspect}, only #{known}"
      end

      require File.expand_path("../#{file}", __dir__)
    end
  end
end
