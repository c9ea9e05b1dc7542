# frozen_string_literal: true

require "digest"
require "json"
require "sinatra/base"

# A small Sinatra application.
class App < Sinatra::Base
  CHUNK = ("x" * 65_536).freeze

  # Any host may be asked for: which one is right is the web server's business.
  set :protection, except: :host_authorization
  set :host_authorization, { permitted_hosts: [] }

  get "/" do
    "<!doctype html><title>Sinatra</title><h1>Hello from Sinatra</h1>"
  end

  post "/form" do
    json(request.POST)
  end

  post "/upload" do
    file = params.dig(:file, :tempfile)
    halt 400, "send a file in the form field 'file'" unless file
    json(size: file.size, sha256: Digest::SHA256.file(file.path).hexdigest)
  end

  get "/download" do
    count = [params.fetch(:bytes, 1024).to_i, 0].max
    content_type "application/octet-stream"
    Enumerator.new do |body|
      (count / CHUNK.size).times { body << CHUNK }
      body << CHUNK[0, count % CHUNK.size]
    end
  end

  post "/chunked" do
    content_type "application/octet-stream"
    input = request.body
    Enumerator.new do |body|
      while (chunk = input.read(CHUNK.size))
        body << chunk
      end
    end
  end

  get "/cookies" do
    visits = request.cookies["visits"].to_i + 1
    response.set_cookie("visits", value: visits.to_s, path: "/", httponly: true, same_site: :lax)
    json(visits: visits)
  end

  get "/redirect" do
    redirect to("/")
  end

  get "/pid" do
    content_type :text
    Process.pid.to_s
  end

  get "/crash" do
    pass unless ENV["CRASH"] == "1"
    Process.kill(:KILL, Process.pid)
  end

  private

  def json(value)
    content_type :json
    JSON.generate(value)
  end
end
