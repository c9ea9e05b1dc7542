# frozen_string_literal: true

module PassengerLoader
  # What the process is called in ps.
  module ProcessTitle
    module_function

    # The title of a process that serves requests.
    def worker(options)
      return unless options["process_title"]

      Process.setproctitle([options["process_title"], options["app_group_name"]].compact.join(": "))
    end

    # The title of the process that workers are forked from.
    def preloader(options)
      Process.setproctitle("Passenger AppPreloader: #{options["app_root"]}")
    end
  end
end
