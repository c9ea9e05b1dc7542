# frozen_string_literal: true

# An application that shows what a preloader did to it.

require "json"
require "objspace"
require "securerandom"

LOADED_BY = Process.pid
EVENTS = []
LOADED = ["an object that is loaded with the application"].freeze

puts "loaded by #{LOADED_BY}"

PhusionPassenger.on_event(:starting_worker_process) { |forked| EVENTS << ["starting", forked] }
PhusionPassenger.on_event(:after_installing_signal_handlers) { EVENTS << ["signal handlers"] }
PhusionPassenger.on_event(:stopping_worker_process) { puts "stopping #{Process.pid}" }
at_exit { puts "at_exit of #{Process.pid}" }

# An Active Record that counts.
module ActiveRecord
  class Base
    CALLS = []

    def self.connection_handler
      self
    end

    def self.clear_all_connections!
      CALLS << ["clear", Process.pid]
    end

    def self.establish_connection
      CALLS << ["establish", Process.pid]
    end
  end
end

Thread.new { sleep }

# The routes: they respond with JSON.
module Routes
  module_function

  def identity
    { pid: Process.pid, loaded_by: LOADED_BY, group: Process.getpgrp, session: Process.getsid,
      events: EVENTS, active_record: ActiveRecord::Base::CALLS, title: File.read("/proc/self/cmdline") }
  end

  def random
    [rand(1 << 62), Random.rand(1 << 62), SecureRandom.hex, [*1..100].shuffle]
  end

  # What each descriptor is, in a way that can be compared between processes.
  def descriptors
    Dir.children("/proc/self/fd").map(&:to_i).sort.filter_map do |number|
      target = File.readlink("/proc/self/fd/#{number}")
      next if target.start_with?("/proc/")

      (number <= 2 ? "#{number} " : "") + target.sub(/:?\[\d+\]/, "")
    rescue Errno::ENOENT
      nil
    end
  end

  # Whether what was loaded is old already, and how often it was moved.
  def heap
    { old: JSON.parse(ObjectSpace.dump(LOADED)).dig("flags", "old"), compactions: GC.stat(:compact_count),
      can_compact: GC.respond_to?(:compact) }
  end

  def flags
    [0, 1, 2].map { |number| File.read("/proc/self/fdinfo/#{number}")[/flags:\s+(\d+)/, 1].to_i(8) & File::NONBLOCK }
  end

  def complain
    warn "complaint of #{Process.pid}"
    puts "word of #{Process.pid}"
    system("echo child of #{Process.pid}")
  end
end

run lambda { |env|
  name = env["PATH_INFO"].delete_prefix("/")
  name == "exit" ? exit(7) : [200, {}, [JSON.generate(Routes.public_send(name))]]
}
