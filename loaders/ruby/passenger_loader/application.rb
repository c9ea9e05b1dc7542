# frozen_string_literal: true

require_relative "api"
require_relative "bundle"

module PassengerLoader
  # The application that the startup file defines.
  module Application
    module_function

    # Loads it, in its directory and with its gems.
    def load(options)
      startup_file = options.fetch("startup_file")
      Dir.chdir(options["app_root"] || File.dirname(startup_file))
      Bundle.setup
      require_rack
      build(startup_file, options["startup_file_uid"])
    end

    # What needs Rack is loaded after Bundler has chosen which one.
    def require_rack
      begin
        require "rack"
      rescue LoadError => e
        raise LoadError, "cannot load Rack (#{e.message}). Add gem \"rack\" to the application's Gemfile, " \
                         "or install it: gem install rack"
      end

      require_relative "worker"
    end

    # Whatever its name, the startup file is what rackup runs.
    def build(startup_file, owner)
      text = read(startup_file, owner).sub(/^__END__\n.*\z/m, "")
      Rack::Builder.new_from_string(text, startup_file)
    end

    # owner is the user that the file has to belong to, which has decided the
    # user of the process; the file may have been replaced since. nil means any.
    def read(startup_file, owner)
      File.open(startup_file, "r:bom|utf-8") do |file|
        unless owner.nil? || file.stat.uid == Integer(owner)
          raise SecurityError, "#{startup_file} belongs to user #{file.stat.uid} now, and the process runs as user " \
                               "#{owner}, who owned it when the start began. Start again when it is not being replaced."
        end

        file.read
      end
    end
  end
end
