# frozen_string_literal: true

module PassengerLoader
  # What the threads of a process are doing.
  module Backtraces
    FEATURE = "backtraces_by_signal"

    # Programs ignore it unless they have a handler for it, and few have a use for it.
    SIGNAL = "URG"

    module_function

    # Makes SIGQUIT show it on stderr, for whoever wants to know where a process
    # hangs, unless the application has a use for that signal.
    def print_on_sigquit
      previous = trap("QUIT") { STDERR.write(to_s) }
      trap("QUIT", previous) unless previous == "DEFAULT"
    end

    # Does what the spawner offers, and returns the features to report to it.
    def offer(options)
      return [] unless options["features"].to_s.split.include?(FEATURE)

      file = File.open(File.join(options["socket_dir"], "backtraces"), "a")
      previous = trap(SIGNAL) { file.syswrite(to_s) }
      return [FEATURE] if [nil, "DEFAULT", "SYSTEM_DEFAULT"].include?(previous)

      trap(SIGNAL, previous)
      []
    rescue SystemCallError
      []
    end

    def to_s
      Thread.list.map do |thread|
        "Thread #{thread.inspect}:\n#{(thread.backtrace || []).map { |line| "    #{line}\n" }.join}"
      end.join
    end
  end
end
