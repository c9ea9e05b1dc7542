package realapps_test

import (
	"net/http"
	"os/exec"
	"strconv"
	"testing"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// sinatraApp is put together from Sinatra's introduction.
//
//nolint:dupword // Ruby
const sinatraApp = `require "sinatra/base"

class App < Sinatra::Base
  enable :sessions
  set :session_secret, "only for a test " * 8

  get("/") { "Hello from #{session[:name] || "Sinatra"}" }

  post "/form" do
    session[:name] = params["name"]
    redirect "/"
  end

  post("/upload") { "#{params["photo"]["tempfile"].size} bytes" }

  get("/address") { request.ip }

  get "/stream" do
    content_type "text/plain"
    stream do |out|
      out << "first\n"
      sleep 0.01 until File.exist?("second")
      out << "second\n"
    end
  end

  not_found { "There is no such page." }
end
`

// sinatra makes an application in Sinatra's modular style.
func sinatra(t testing.TB) *workshop {
	t.Helper()
	ruby := interpreters.Find(t, "sinatra", "ruby")
	if exec.CommandContext(t.Context(), ruby, "-e", `require "sinatra/base"`).Run() != nil {
		interpreters.Missing(t, "sinatra", "this Ruby has no Sinatra: run scripts/install-test-deps.sh")
	}

	w := newWorkshop(t, "RUBYOPT=-W0")
	w.write(t, "app.rb", sinatraApp)
	w.write(t, "config.ru", "require_relative \"app\"\n\nrun App\n")

	return w
}

func TestSinatra(t *testing.T) {
	t.Parallel()
	w := sinatra(t)
	w.write(t, "public/style.css", "h1 { color: green }\n")
	s := w.start(t, "--environment", "production")

	s.get(t, "/", http.StatusOK, "Hello from Sinatra")
	s.post(t, "/form", "name", "Zoë").requireRedirect(t, http.StatusSeeOther, "/")
	s.get(t, "/", http.StatusOK, "Hello from Zoë")
	s.requireStatic(t, "/style.css", "text/css", "color: green")
	s.get(t, "/missing", http.StatusNotFound, "There is no such page.")
	s.upload(t, "/upload", "photo", "photo.png").require(t, http.StatusOK, strconv.Itoa(uploadSize)+" bytes")
	s.requireClientAddress(t)
	s.requireStream(t, "/stream", "first", "second")
	s.lacks(gotSocket, "Sinatra alone")
	s.restartUnderLoad(t, "/", "Hello from Sinatra")
}
