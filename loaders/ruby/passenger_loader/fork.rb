# frozen_string_literal: true

require "fcntl"

module PassengerLoader
  # The birth of a worker: what the preloader and the child do about it.
  class Fork
    def initialize(preloader, application, tell_of_exits)
      @preloader = preloader
      @application = application
      @tell_of_exits = tell_of_exits
    end

    # Forks, and replies to the command.
    def run(command)
      Database.disconnect
      # The child waits at the gate until the reply has been written: its own
      # words come after that on the same connection.
      gate, key = IO.pipe
      pid = Process.fork do
        key.close
        become_worker(command, gate)
      end

      lead_own_group(pid)
      reap(pid)
      reply(command, "OK\n#{pid}\n")
    rescue StandardError, NoMemoryError, NotImplementedError => e
      end_child(pid) if pid
      reply(command, "Error\n!> \nThe preloader cannot fork: #{e.message}\n")
    ensure
      [gate, key].each { |io| io&.close }
    end

    private

    # Both sides do it, so that it is done for each of them.
    def lead_own_group(pid)
      Process.setpgid(pid, pid)
    rescue SystemCallError
      # It is dead already.
    end

    # Ends a child for which there is no thread. It would hold the reply open.
    def end_child(pid)
      Process.kill(:KILL, pid)
      Process.wait(pid)
    rescue SystemCallError
      # It is gone.
    end

    def reply(command, text)
      command.socket.write(text)
    rescue SystemCallError
      # The spawner is gone; the worker finds that out too.
    end

    def reap(pid)
      tell_of_exits = @tell_of_exits
      Thread.new do
        Thread.current.name = "Passenger worker #{pid}"
        _, status = Process.wait2(pid)
        outcome = status.signaled? ? "signal #{status.termsig}" : "exit #{status.exitstatus}"
        tell("\n!> worker_exit: #{pid} #{outcome}\n") if tell_of_exits
      rescue Errno::ECHILD
        # The application waits for children that are not its own.
      end
    end

    def tell(line)
      IO.for_fd(1, "w", autoclose: false).tap { |stdout| stdout.sync = true }.write(line)
    rescue SystemCallError
      # The spawner is gone.
    end

    def become_worker(command, gate)
      Process.setpgid(0, 0)
      adopt(command)
      gate.read
      gate.close
      handshake = Handshake.new
      options = handshake.begin_or_abort
      ProcessTitle.worker(options)
      # By this the spawner finds what the worker has started.
      ENV["PASSENGER_GUPID"] = options["gupid"]
      Worker.new(handshake, options, @application).run(forked: true) do
        srand
        Database.connect
      end
    end

    # Makes the connection the worker's stdin and stdout, which stay what they
    # are to Ruby: plain streams. Programs that the application starts do not
    # expect them not to block.
    def adopt(command)
      number = command.socket.fileno
      command.socket.fcntl(Fcntl::F_SETFL, command.socket.fcntl(Fcntl::F_GETFL) & ~File::NONBLOCK)
      STDIN.reopen(IO.for_fd(number, "r", autoclose: false))
      STDOUT.reopen(IO.for_fd(number, "w", autoclose: false))
      STDERR.reopen(IO.for_fd(command.stderr.fileno, "w", autoclose: false)) if command.stderr
      @preloader.abandon
    end
  end
end
