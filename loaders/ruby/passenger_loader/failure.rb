# frozen_string_literal: true

module PassengerLoader
  # What the log says of an exception.
  module Failure
    # What is printed, and ends no process.
    KINDS = [StandardError, ScriptError, SystemStackError].freeze

    module_function

    def describe(error)
      error.full_message(highlight: false, order: :top)
    rescue *KINDS => e
      # An application may compose the message of what is not there.
      place, *callers = error.backtrace
      first = "#{place}: #{error.class}, whose message fails because of #{e.class}"
      [first, *callers].join("\n\tfrom ") + "\n"
    end
  end
end
