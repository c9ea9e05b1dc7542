package realapps_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// sidekiqJobs is put together from Sidekiq's guide.
const sidekiqJobs = `require "sidekiq"

redis = { url: "unix://#{ENV.fetch("REDIS_SOCKET")}" }
Sidekiq.configure_server { |config| config.redis = redis }
Sidekiq.configure_client { |config| config.redis = redis }

class Work
  include Sidekiq::Worker

  def perform(name)
    File.write("#{name}.begun", "")
    sleep 0.05 until File.exist?("go")
    File.write("#{name}.done", "")
  end # of perform
end
`

const sidekiqApp = `require_relative "jobs"

parts = Enumerator.new { |body|
  body << "first\n"
  sleep 0.01 until File.exist?("second")
  body << "second\n"
}

run lambda { |env|
  if env["PATH_INFO"] == "/stream"
    [200, { "content-type" => "text/plain" }, parts]
  elsif env["REQUEST_METHOD"] == "POST"
    Work.perform_async(env["PATH_INFO"].delete_prefix("/work/"))
    [200, { "content-type" => "text/plain" }, ["queued"]]
  else
    [200, { "content-type" => "text/plain" }, ["Hello, World!"]]
  end
}
`

// A Sidekiq that is replaced finishes the job that it has, by SIGTERM, while its successor takes the next one.
func TestSidekiq(t *testing.T) {
	t.Parallel()
	ruby := interpreters.Find(t, "ruby", "ruby")
	redis := interpreters.Find(t, "redis", "redis-server")
	sidekiq := interpreters.Find(t, "sidekiq", "sidekiq")
	if exec.Command(ruby, "-e", `require "sidekiq"; require "rack"`).Run() != nil {
		interpreters.Missing(t, "sidekiq", "this Ruby has no Sidekiq and Rack: run scripts/install-realapps")
	}

	w := newWorkshop(t)
	socket := filepath.Join(w.Dir, "redis.sock")
	w.daemon(t, socket, redis, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", w.Dir)
	w.write(t, "redis.env", "REDIS_SOCKET="+socket+"\n")
	w.write(t, "config.ru", sidekiqApp)
	w.write(t, "jobs.rb", sidekiqJobs)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	w.write(t, "Passengerfile.json", `{"env_files": ["redis.env"], "companions": {
		"sidekiq": {"command": "`+ruby+` `+sidekiq+` -r ./jobs.rb -c 2 -t 45", "stop_timeout": 50}
	}}`)

	s := w.start(t)
	s.get(t, "/", http.StatusOK, "Hello, World!")
	s.post(t, "/work/first").require(t, http.StatusOK, "queued")
	w.await(t, "first.begun")
	s.requireStatic(t, "/style.css", "text/css", "color: green")
	s.requireStream(t, "/stream", "first", "second")
	s.lacks(gotSocket, "Rack alone")

	s.restartUnderLoad(t, "/", "Hello, World!")
	s.Await(t, "Shutting down", 1)
	require.NoFileExists(t, filepath.Join(w.dir, "first.done"))

	s.post(t, "/work/second").require(t, http.StatusOK, "queued")
	w.await(t, "second.begun")
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "go"), nil, 0o600))
	w.await(t, "first.done")
	w.await(t, "second.done")
	s.Await(t, `companion=sidekiq number=1 status="exit status 0"`, 1)
}
