package realapps_test

import (
	"context"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

const mojoliciousRoutes = `
app->max_request_size(16 * 1024 * 1024);

get '/form';

post '/form' => sub ($c) {
  return $c->render(text => 'Bad CSRF token!', status => 403) if $c->validation->csrf_protect->has_error('csrf_token');
  $c->session(name => $c->param('name'));
  $c->redirect_to('/hello');
};

get '/hello' => sub ($c) { $c->render(text => 'Hello, ' . ($c->session('name') // 'World') . '!') };

post '/upload' => sub ($c) {
  my $photo = $c->param('photo');
  $c->render(json => {name => $photo->filename, size => $photo->size});
};

get '/address' => sub ($c) { $c->render(text => $c->tx->remote_address) };

get '/events' => sub ($c) {
  $c->res->headers->content_type('text/event-stream');
  $c->write("data: first\n\n");
  my $id;
  $id = Mojo::IOLoop->recurring(0.01 => sub ($loop) {
    return unless -e 'second';
    $loop->remove($id);
    $c->write("data: second\n\n" => sub ($c, @) { $c->finish });
  });
};

websocket '/echo' => sub ($c) {
  $c->on(message => sub ($c, $msg) { $c->send("echo: $msg") });
};

app->start;
__DATA__

@@ form.html.ep
%= form_for '/form' => (method => 'POST') => begin
  %= csrf_field
  %= text_field 'name'
%= end
`

func TestMojolicious(t *testing.T) {
	t.Parallel()
	perl := interpreters.Find(t, "perl", "perl")
	if exec.CommandContext(t.Context(), perl, "-MMojolicious", "-e", "1").Run() != nil {
		interpreters.Missing(t, "mojolicious", "Perl has no Mojolicious: run scripts/install-realapps")
	}

	for name, command := range map[string]string{
		"daemon":  "./myapp.pl daemon -m production -p -l http://127.0.0.1:$PORT",
		"prefork": "./myapp.pl prefork -m production -p -w 2 -l http://127.0.0.1:$PORT",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.write(t, "public/style.css", "h1 { color: green }\n")
			w.run(t, "mojo", "generate", "lite-app", "myapp.pl")
			w.edit(t, "myapp.pl", "\napp->start;\n__DATA__\n", mojoliciousRoutes)
			s := w.start(t, "--start-command", command)

			s.get(t, "/", http.StatusOK, "Welcome to the Mojolicious real-time web framework!")
			form := s.get(t, "/form", http.StatusOK, "<form")
			s.post(t, "/form", "name", "Zoe").require(t, http.StatusForbidden, "Bad CSRF token!")
			s.post(t, "/form", "name", "Zoe", "csrf_token", form.field(t, "csrf_token")).requireRedirect(t,
				http.StatusFound, "/hello")
			s.get(t, "/hello", http.StatusOK, "Hello, Zoe!")
			s.requireStatic(t, "/style.css", "text/css", "color: green")
			s.get(t, "/missing", http.StatusNotFound, "")
			s.upload(t, "/upload", "photo", "photo.png").require(t, http.StatusOK, `"size":`+strconv.Itoa(uploadSize))
			s.requireClientAddress(t)
			s.requireStream(t, "/events", "data: first", "data: second")
			s.requireWebSocketEcho(t, "/echo")
			s.restartUnderLoad(t, "/hello", "Hello, World!")
		})
	}
}

// requireWebSocketEcho checks a WebSocket that sends back what it gets.
func (s *server) requireWebSocketEcho(t testing.TB, target string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(s.base, "http:", "ws:", 1)+target,
		&websocket.DialOptions{HTTPClient: &http.Client{
			Transport: s.Transport,
		}})
	require.NoError(t, err)
	require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte("hello")))
	_, message, err := conn.Read(ctx)
	require.NoError(t, err)
	require.Equal(t, "echo: hello", string(message))
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, ""))
	s.add(gotSocket)
}
