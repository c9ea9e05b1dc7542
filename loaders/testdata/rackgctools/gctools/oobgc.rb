# frozen_string_literal: true

# Stands in for the gem gctools, which expects a collection when it is asked to.
module GC
  module OOB
    class << self
      attr_accessor :dry_run

      def setup
        puts "gctools is set up"
      end

      def run
        self.dry_run = false
        puts "gctools collects"
      end
    end
  end
end
