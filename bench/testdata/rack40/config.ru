# frozen_string_literal: true

# An application of about 40 MB: a third of it code, the rest data, as routes,
# translations and cached records are. A request uses some of both: of one in
# USE of them, which the environment says.
%w[json set csv erb logger net/http openssl optparse pstore psych rdoc time uri yaml].each { |name| require name }

module Shop
  CODE = 12_000.times do |n|
    eval(<<~RUBY, binding, "shop_#{n / 100}.rb", 1) # rubocop:disable Style/EvalWithLocation, Security/Eval
      def self.action_#{n}(params)
        id = Integer(params.fetch("id", #{n}))
        total = (1..(id % 7)).sum { |i| i * #{n} }
        "action #{n} of \#{id}: \#{total} \#{params.keys.sort.join(",")}"
      end
    RUBY
  end

  RECORDS = Array.new(70_000) do |n|
    { "id" => n, "name" => "record number #{n}", "price" => n * 1.25, "tags" => ["tag#{n % 97}", "kind#{n % 13}"] }
  end
end

used = Integer(ENV.fetch("USE"))
records_used = Shop::RECORDS.size / used
actions_used = 12_000 / used

run lambda { |env|
  n = rand(records_used)
  records = Array.new(20) { |i| Shop::RECORDS[(n + i * 37) % records_used] }
  body = Shop.public_send("action_#{n % actions_used}", { "id" => n.to_s }) + JSON.generate(records)
  [200, { "content-type" => "text/plain" }, [body]]
}
