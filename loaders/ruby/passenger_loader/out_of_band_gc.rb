# frozen_string_literal: true

module PhusionPassenger
  # Middlewares that come with the loader.
  module Rack
    # Collects garbage between requests instead of during them: it asks for
    # out-of-band work by a response header, upon which the process gets no
    # requests until it has done that.
    #
    #   use PhusionPassenger::Rack::OutOfBandGc, 5                        # after every 5 requests
    #   use PhusionPassenger::Rack::OutOfBandGc, strategy: :count, frequency: 5
    #   use PhusionPassenger::Rack::OutOfBandGc, strategy: :gctools_oobgc # when the gem gctools says so
    class OutOfBandGc
      HEADER = "!~Request-OOB-Work"

      # Collects after a number of requests.
      class Count
        def initialize(frequency)
          @frequency = Integer(frequency)
          raise ArgumentError, "the frequency of out-of-band collections has to be at least 1" if @frequency < 1

          @requests = 0
          @lock = Mutex.new
        end

        def due?
          @lock.synchronize do
            @requests = (@requests + 1) % @frequency
            @requests.zero?
          end
        end

        def collect
          was_disabled = GC.enable
          GC.start
        ensure
          GC.disable if was_disabled
        end
      end

      # Collects when the gem gctools expects a collection soon.
      class GctoolsOobgc
        def initialize
          require "gctools/oobgc"
          GC::OOB.setup
        end

        def due?
          GC::OOB.dry_run
        end

        def collect
          was_disabled = GC.enable
          GC::OOB.run
        ensure
          GC.disable if was_disabled
        end
      end

      def initialize(app, options)
        @app = app
        strategy = choose(options)
        @strategy = strategy
        PhusionPassenger.on_event(:oob_work) { strategy.collect }
      end

      def call(env)
        status, headers, body = @app.call(env)
        headers = headers.to_h.merge(HEADER => "true") if @strategy.due?
        [status, headers, body]
      end

      private

      def choose(options)
        options = { strategy: :count, frequency: options } unless options.is_a?(Hash)
        case options[:strategy]
        when :count then Count.new(options.fetch(:frequency))
        when :gctools_oobgc then GctoolsOobgc.new
        else
          raise ArgumentError, "#{options[:strategy].inspect} is no strategy of out-of-band collection: " \
                               "use a frequency, strategy: :count, frequency: 5, or strategy: :gctools_oobgc"
        end
      end
    end
  end
end
