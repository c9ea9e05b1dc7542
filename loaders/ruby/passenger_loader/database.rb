# frozen_string_literal: true

module PassengerLoader
  # Active Record's connections, which two processes cannot share.
  module Database
    module_function

    def disconnect
      return unless active_record?

      base = ActiveRecord::Base
      owner = base.respond_to?(:connection_handler) ? base.connection_handler : base
      owner.clear_all_connections!
    end

    def connect
      ActiveRecord::Base.establish_connection if active_record?
    rescue StandardError => e
      # The application uses the library without a database.
      raise unless e.class.name.end_with?("NotSpecified")
    end

    # What is not loaded yet has no connections.
    def active_record?
      defined?(ActiveRecord::Base) && !ActiveRecord.autoload?(:Base)
    end
  end
end
