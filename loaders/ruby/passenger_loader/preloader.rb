# frozen_string_literal: true

require_relative "application"
require_relative "database"
require_relative "handshake"
require_relative "process_title"

module PassengerLoader
  # Loads the application, and forks a worker whenever the spawner asks for one,
  # until the spawner closes its end of stdin. The workers stay.
  class Preloader
    FEATURES = [WORKER_STDERR = "worker_stderr", WORKER_EXITS = "worker_exits"].freeze

    # How many commands may be under way at once.
    MAX_COMMANDS = 64

    def initialize
      @handshake = Handshake.new
      @commands = {}
    end

    def run
      options = @handshake.begin_or_abort
      @features = options["features"].to_s.split & FEATURES
      @handshake.reporting_failure { prepare(options) }
      @handshake.ready([@listener.address], @features)
      obey
    rescue SignalException => e
      die_of(e.signo)
    end

    # For the worker: closes what is the preloader's alone.
    def abandon
      @listener.close
      @commands.each_key(&:close)
    end

    private

    def prepare(options)
      unless Process.respond_to?(:fork)
        raise NotImplementedError, "this Ruby cannot fork: use the spawn method \"direct\""
      end

      ProcessTitle.preloader(options)
      @application = Application.load(options)
      # What follows needs gems, which the application chooses.
      require_relative "fork"
      require_relative "spawn_command"
      @listener = Listener.unix(options)
      age_heap
    end

    # What is garbage, or moved, after a fork is memory that is shared no longer.
    def age_heap
      return Process.warmup if Process.respond_to?(:warmup)

      # An object is old after it has survived three collections.
      4.times { GC.start }
      GC.compact if GC.respond_to?(:compact)
    rescue NotImplementedError
      # This platform's pages cannot be compacted.
    end

    def obey
      loop do
        accepting = [@listener] if @commands.size < MAX_COMMANDS
        readable, = IO.select([Handshake.lifeline, *accepting, *@commands.keys], nil, nil, patience)
        readable&.each { |source| handle(source) }
        @commands.keys.select(&:late?).each { |command| refuse(command, "nothing more of it came in time") }
      end
    end

    def patience
      @commands.each_key.map(&:patience).min
    end

    def handle(source)
      case source
      when Handshake.lifeline then read_lifeline
      when @listener then accept
      else advance(source)
      end
    end

    def read_lifeline
      stop if Handshake.lifeline.read_nonblock(4096, exception: false).nil?
    rescue SystemCallError
      stop
    end

    # What the application has registered for the end of the process is for the
    # workers, who may be using what it would remove.
    def stop
      @listener.close
      exit!(0)
    end

    def die_of(signal)
      @listener&.close
      trap(signal, "SYSTEM_DEFAULT")
      Process.kill(signal, Process.pid)
      sleep
    end

    def accept
      socket = @listener.accept
      @commands[SpawnCommand.new(socket, @features.include?(WORKER_STDERR))] = true if socket
    end

    def advance(command)
      return unless command.receive

      Fork.new(self, @application, @features.include?(WORKER_EXITS)).run(command)
      forget(command)
    rescue SpawnCommand::Invalid => e
      refuse(command, e.message)
    end

    def refuse(command, reason)
      STDERR.puts("Passenger's Rack preloader: refused a command: #{reason}")
      forget(command)
    end

    def forget(command)
      @commands.delete(command)
      command.close
    end
  end
end
