# frozen_string_literal: true

module PassengerLoader
  # What the threads of a process are doing.
  module Backtraces
    module_function

    # Makes SIGQUIT show it on stderr, for whoever wants to know where a process
    # hangs, unless the application has a use for that signal.
    def print_on_sigquit
      previous = trap("QUIT") { STDERR.write(to_s) }
      trap("QUIT", previous) unless previous == "DEFAULT"
    end

    def to_s
      Thread.list.map do |thread|
        "Thread #{thread.inspect}:\n#{(thread.backtrace || []).map { |line| "    #{line}\n" }.join}"
      end.join
    end
  end
end
