# frozen_string_literal: true

module PassengerLoader
  # A password that others are compared with, in a time that does not depend on
  # how much of them is right. An empty one is not asked for.
  class Password
    def initialize(password)
      @size = password.bytesize
      # Four bytes at a time.
      @format = "L#{@size / 4}C#{@size % 4}"
      @words = password.unpack(@format)
    end

    def match?(got)
      return true if @size.zero?
      return false unless got.bytesize == @size

      difference = 0
      words = got.unpack(@format)
      index = words.size
      difference |= words[index] ^ @words[index] while (index -= 1) >= 0
      difference.zero?
    end
  end
end
