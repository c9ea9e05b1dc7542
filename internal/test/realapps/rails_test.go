package realapps_test

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"

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

var railsStyle = regexp.MustCompile(`/assets/application-[0-9a-f]+\.css`)

// rails ends the test if there is none.
func rails(t testing.TB) {
	t.Helper()
	interpreters.Find(t, "rails", "rails")
	interpreters.Find(t, "rails", "bundle")
}

// railsApp makes an application as Rails' guide does, with what Debian has.
func railsApp(t testing.TB) *workshop {
	t.Helper()
	rails(t)
	w := newWorkshop(t, "RAILS_ENV=production", "SECRET_KEY_BASE=only-for-a-test", "RUBYOPT=-W0")
	w.run(t, "rails", "new", "app", "--minimal", "--skip-bundle", "--skip-git", "--skip-puma", "--skip-test")
	w.run(t, "bundle", "install", "--local")
	w.run(t, "bin/rails", "generate", "scaffold", "product", "name:string")
	w.write(t, "app/controllers/pages_controller.rb", railsPages)
	w.write(t, "app/views/pages/form.html.erb", railsForm)
	w.edit(t, "config/routes.rb", "resources :products", `resources :products
  root "products#index"
  get "old", to: "pages#old"
  get "form", to: "pages#form"
  post "upload", to: "pages#upload"
  get "events", to: "pages#events"`)
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
			form = s.get(t, "/form", http.StatusOK, "<form")
			s.upload(t, "/upload", "photo", "photo.png", "authenticity_token", form.field(t, "authenticity_token")).
				require(t, http.StatusOK, `"size":`+strconv.Itoa(uploadSize))
			s.requireStream(t, "/events", "data: first", "data: second")
			s.restartUnderLoad(t, "/products", "Products")
		})
	}
}

// In development, an application is started without any option.
func TestRailsInDevelopment(t *testing.T) {
	t.Parallel()
	slow(t)
	rails(t)
	w := newWorkshop(t, "RUBYOPT=-W0")
	w.run(t, "rails", "new", "app", "--minimal", "--skip-bundle", "--skip-git", "--skip-puma", "--skip-test")
	w.run(t, "bundle", "install", "--local")
	s := w.start(t)
	s.get(t, "/", http.StatusOK, "Yay! You&rsquo;re on Rails!")
	s.get(t, "/missing", http.StatusNotFound, "No route matches")
	s.restartUnderLoad(t, "/", "Rails")
}
