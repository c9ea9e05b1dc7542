package realapps_test

import (
	"context"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

//nolint:dupword // Ruby
const railsPages = `class PagesController < ApplicationController
  include ActionController::Live

  def old
    redirect_to products_url, status: :moved_permanently
  end

  def form; end

  def upload
    file = params.require(:photo)
    render json: { name: file.original_filename, size: file.size }
  end

  def events
    response.headers["Content-Type"] = "text/event-stream"
    response.headers["Last-Modified"] = Time.now.httpdate
    response.stream.write "data: first\n\n"
    sleep 0.01 until Rails.root.join("second").exist?
    response.stream.write "data: second\n\n"
  ensure
    response.stream.close
  end
end
`

const railsForm = `<%= form_with url: "/upload", multipart: true do |f| %>
<%= f.file_field :photo %><%= f.submit %>
<% end %>
`

const railsRoutes = `
  get "old", to: "pages#old"
  get "form", to: "pages#form"
  post "upload", to: "pages#upload"
  get "events", to: "pages#events"
`

// railsCable is what Rails' generator makes without --minimal.
const railsCable = `development:
  adapter: async

production:
  adapter: redis
  url: <%= ENV["REDIS_URL"] %>
`

// railsChannel sends what a client says to all of them.
//
//nolint:dupword // Ruby
const railsChannel = `class EchoChannel < ApplicationCable::Channel
  def subscribed
    stream_from "echo"
  end

  def receive(data)
    ActionCable.server.broadcast("echo", data)
  end
end
`

var railsStyle = regexp.MustCompile(`/assets/application-[0-9a-f]+\.css`)

// rails ends the test if there is none.
func rails(t testing.TB) {
	t.Helper()
	interpreters.Find(t, "rails", "rails")
	interpreters.Find(t, "rails", "bundle")
}

// newRails makes an application as Rails' guide does, with what Debian has, and with pages and a channel.
func newRails(t testing.TB, env ...string) *workshop {
	t.Helper()
	rails(t)
	w := newWorkshop(t, append(env, "RUBYOPT=-W0")...)
	w.run(t, "rails", "new", "app", "--minimal", "--skip-bundle", "--skip-git", "--skip-puma", "--skip-test")
	w.edit(t, "Gemfile", "gem 'sqlite3'", "gem 'redis', '~> 4.0'\ngem 'sqlite3'")
	w.edit(t, "config/application.rb", `# require "action_cable/engine"`, `require "action_cable/engine"`)
	w.write(t, "config/cable.yml", railsCable)
	w.run(t, "bundle", "install", "--local")

	w.run(t, "bin/rails", "generate", "channel", "echo")
	w.write(t, "app/channels/echo_channel.rb", railsChannel)
	w.write(t, "app/controllers/pages_controller.rb", railsPages)
	w.write(t, "app/views/pages/form.html.erb", railsForm)
	w.edit(t, "config/routes.rb", "Rails.application.routes.draw do", "Rails.application.routes.draw do"+railsRoutes)

	return w
}

// railsApp makes an application for production.
func railsApp(t testing.TB) *workshop {
	t.Helper()
	redis := interpreters.Find(t, "redis", "redis-server")
	w := newRails(t, "RAILS_ENV=production", "SECRET_KEY_BASE=only-for-a-test")
	socket := filepath.Join(w.Dir, "redis.sock")
	w.daemon(t, socket, redis, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", w.Dir)
	w.env = append(w.env, "REDIS_URL=unix://"+socket)

	w.run(t, "bin/rails", "generate", "scaffold", "product", "name:string")
	w.edit(t, "config/routes.rb", "resources :products", "resources :products\n  root \"products#index\"")
	w.run(t, "bin/rails", "db:migrate")
	w.run(t, "bin/rails", "assets:precompile")

	return w
}

func TestRails(t *testing.T) { //nolint:tparallel // its subtests share a directory
	t.Parallel()
	slow(t)

	w := railsApp(t)
	for name, args := range map[string][]string{
		"smart":   nil,
		"direct":  {"--spawn-method", "direct"},
		"threads": {"--thread-count", "4"},
	} {
		t.Run(name, func(t *testing.T) {
			s := w.start(t, append([]string{"--environment", "production", "--health-path", "/products"}, args...)...)

			page := s.get(t, "/", http.StatusOK, "Products")
			style := railsStyle.FindString(page.body)
			require.NotEmpty(t, style, page.body)
			s.requireStatic(t, style, "text/css", "")
			require.Contains(t, s.get(t, style, http.StatusOK, "").Header.Get("Cache-Control"), "immutable")

			form := s.get(t, "/products/new", http.StatusOK, "New Product")
			s.post(t, "/products", "product[name]", "Chair").require(t, http.StatusUnprocessableEntity, "")
			made := s.post(t, "/products", "product[name]", "Chair "+name, "authenticity_token",
				form.field(t, "authenticity_token"))
			require.Equal(t, http.StatusFound, made.StatusCode, made.body)
			location, err := made.Location()
			require.NoError(t, err)
			s.get(t, location.RequestURI(), http.StatusOK, "Product was successfully created.")
			s.get(t, "/products", http.StatusOK, "Chair "+name)

			s.get(t, "/old", http.StatusMovedPermanently, "").requireRedirect(t, http.StatusMovedPermanently,
				"/products")
			s.get(t, "/missing", http.StatusNotFound, "The page you were looking for doesn't exist")
			s.requireRailsPages(t)
			s.requireCable(t, 3)
			s.restartUnderLoad(t, "/products", "Products")
		})
	}
}

// In development, an application is started without any option.
func TestRailsInDevelopment(t *testing.T) {
	t.Parallel()
	slow(t)
	w := newRails(t)
	s := w.start(t)
	s.get(t, "/", http.StatusOK, "Yay! You&rsquo;re on Rails!")
	s.get(t, "/missing", http.StatusNotFound, "No route matches")
	s.requireStatic(t, "/robots.txt", "text/plain", "robots")
	s.requireRailsPages(t)
	s.requireCable(t, 1)
	s.restartUnderLoad(t, "/", "Rails")
	s.stop(t)

	// The adapter of development reaches the clients of one process.
	w.start(t, "--max-pool-size", "1", "--thread-count", "16").requireCable(t, 3)
}

// requireRailsPages uses the pages that newRails has made.
func (s *server) requireRailsPages(t testing.TB) {
	t.Helper()
	form := s.get(t, "/form", http.StatusOK, "<form")
	s.upload(t, "/upload", "photo", "photo.png", "authenticity_token", form.field(t, "authenticity_token")).
		require(t, http.StatusOK, `"size":`+strconv.Itoa(uploadSize))
	s.requireStream(t, "/events", "data: first", "data: second")
}

// requireCable opens WebSockets to the channel, and hears from each what the first says.
func (s *server) requireCable(t testing.TB, clients int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()

	conns := make([]*websocket.Conn, clients)
	for i := range conns {
		conn, _, err := websocket.Dial(ctx, strings.Replace(s.base, "http:", "ws:", 1)+"/cable", &websocket.DialOptions{
			Subprotocols: []string{"actioncable-v1-json"}, HTTPHeader: http.Header{"Origin": {s.base}},
		})
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.CloseNow() })
		requireCableMessage(ctx, t, conn, `"welcome"`)
		say(ctx, t, conn, `{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}`)
		requireCableMessage(ctx, t, conn, `"confirm_subscription"`)
		conns[i] = conn
	}

	for _, text := range []string{"hello", "again"} {
		say(ctx, t, conns[0], `{"command":"message","identifier":"{\"channel\":\"EchoChannel\"}",`+
			`"data":"{\"text\":\"`+text+`\"}"}`)

		for _, conn := range conns {
			requireCableMessage(ctx, t, conn, `"message":{"text":"`+text+`"}`)
		}
	}

	s.add(gotSocket)
}

func say(ctx context.Context, t testing.TB, conn *websocket.Conn, message string) {
	t.Helper()
	require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte(message)))
}

// requireCableMessage waits for a message with a part. Pings come between others.
func requireCableMessage(ctx context.Context, t testing.TB, conn *websocket.Conn, part string) {
	t.Helper()

	for {
		_, message, err := conn.Read(ctx)
		require.NoError(t, err, part)
		if strings.Contains(string(message), part) {
			return
		}

		require.Contains(t, string(message), `"ping"`)
	}
}
