# frozen_string_literal: true

# What applications may call.
module PhusionPassenger
  @handlers = Hash.new { |handlers, event| handlers[event] = [] }

  class << self
    # The socket's number of requests at once that the pool is told; nil: 1.
    attr_accessor :advertised_concurrency_level

    # Registers a block for :starting_worker_process (called with false: the
    # process was not forked), :stopping_worker_process or :oob_work.
    def on_event(event, &block)
      @handlers[event] << block
    end

    # Runs the blocks of an event. One that fails does not keep the others from
    # running.
    def fire(event, *args)
      @handlers[event].each do |handler|
        handler.call(*args)
      rescue StandardError => e
        STDERR.puts("The application's handler of #{event} failed: #{e.full_message(highlight: false)}")
      end
    end
  end
end
