package loaderproto_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

const appKeys = `app_root: /srv/app
app_group_name: /srv/app (staging)
app_type: rack
start_command: ruby	/opt/passenger/rack-loader.rb	a b
startup_file: /srv/app/config.ru
process_title: Passenger RubyApp
log_level: 3
start_timeout: 90000
environment: staging
base_uri: /base
spawn_method: smart
user: alice
group: staff
default_user: nobody
default_group: nogroup
restart_dir: tmp
integration_mode: standalone
ruby: /usr/bin/ruby
python: python3
nodejs: node
meteor_app_settings: settings.json
debugger: true
analytics: false
api_key: 0123456789abcdef
features: session_keep_alive other
`

const instanceKeys = `UNIX_PATH_MAX: 108
connect_password: 0123456789abcdef
instance_dir: /tmp/passenger.1
socket_dir: /tmp/passenger.1/apps.s
`

const fullRequestBytes = `You have control 1.0
passenger_root: /opt/passenger
passenger_version: 5.0.30
ruby_libdir: /opt/passenger/ruby
gupid: 18a3f0c-AbCdEfGhIj
` + instanceKeys + appKeys + "\n"

const preloaderRequestBytes = `You have control 1.0
passenger_root: /opt/passenger
ruby_libdir: /opt/passenger/ruby
passenger_version: 5.0.30
` + instanceKeys + appKeys + "\n"

func TestRequestToApp(t *testing.T) {
	conn := says(control, readyOK)
	n := loaderproto.Negotiation{Request: fullRequest()}
	_, _, err := n.Negotiate(conn)
	require.NoError(t, err)
	require.Equal(t, fullRequestBytes, conn.sent.String())
	require.Equal(t, 2, conn.writes, "the empty line is a write of its own")
}

func TestRequestToPreloader(t *testing.T) {
	conn := says(control, readyBlock("socket: unix:/tmp/preloader.sock"))
	n := loaderproto.Negotiation{Request: fullRequest()}
	_, _, err := n.NegotiatePreloader(conn)
	require.NoError(t, err)
	require.Equal(t, preloaderRequestBytes, conn.sent.String())
}

func TestRequestOmitsEmptyStrings(t *testing.T) {
	conn := says(control, readyOK)
	n := loaderproto.Negotiation{Request: loaderproto.Request{AppRoot: "/srv/app"}}
	_, _, err := n.Negotiate(conn)
	require.NoError(t, err)
	require.Equal(t, lines(
		"You have control 1.0",
		"UNIX_PATH_MAX: 108",
		"app_root: /srv/app",
		"app_group_name: /srv/app",
		"log_level: 0",
		"start_timeout: 0",
		"debugger: false",
		"analytics: false",
		"",
	), conn.sent.String())
}

func TestSpawnCommandBytes(t *testing.T) {
	req := fullRequest()
	var sent bytes.Buffer
	require.NoError(t, loaderproto.SendSpawnCommand(&sent, &req))
	require.Equal(t, "spawn\n"+appKeys+"\n", sent.String())
}

// A value with a line break would add keys to the request, in whatever field.
func TestRequestRefusesLineBreaksInEveryField(t *testing.T) {
	for _, bad := range []string{"a\nb", "a\rb", "a\x00b", "\n", "a\n"} {
		for field := range reflect.TypeFor[loaderproto.Request]().Fields() {
			req := fullRequest()

			v := reflect.ValueOf(&req).Elem().FieldByIndex(field.Index)
			switch v.Interface().(type) {
			case string:
				v.SetString(bad)
			case []string:
				v.Set(reflect.ValueOf([]string{"x", bad}))
			default:
				continue
			}

			requireBadRequest(t, &req, "%s = %q", field.Name, bad)
		}
	}
}

func TestRequestRefuses(t *testing.T) {
	const key = len("app_root: ")
	for name, tc := range map[string]struct {
		change func(*loaderproto.Request)
		ok     bool
	}{
		"nothing": {func(*loaderproto.Request) {}, true},
		"longest line": {func(r *loaderproto.Request) {
			r.AppRoot = strings.Repeat("x",
				loaderproto.MaxLine-key)
		}, true},
		"line over the limit": {func(r *loaderproto.Request) {
			r.AppRoot = strings.Repeat("x", loaderproto.MaxLine-key+
				1)
		}, false},
		"argument with a tab":  {func(r *loaderproto.Request) { r.StartCommand = []string{"sh", "-c", "a\tb"} }, false},
		"key value separators": {func(r *loaderproto.Request) { r.AppRoot = "/a: b;c\td" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			req := fullRequest()
			tc.change(&req)
			if !tc.ok {
				requireBadRequest(t, &req, "")
				return
			}

			require.NoError(t, req.Check())
			conn := says(control, readyOK)
			n := loaderproto.Negotiation{Request: req}
			_, _, err := n.Negotiate(conn)
			require.NoError(t, err)
		})
	}
}

// requireBadRequest requires that nothing of req is sent, by any way.
func requireBadRequest(t *testing.T, req *loaderproto.Request, msg string, args ...any) {
	t.Helper()
	require.Errorf(t, req.Check(), msg, args...)
	e := requireKind(t, req.Check(), loaderproto.BadRequest, loaderproto.SendRequest)
	require.Equal(t, loaderproto.Internal, e.Kind.Category())

	conn := says(control, readyOK)
	n := loaderproto.Negotiation{Request: *req}
	_, _, err := n.Negotiate(conn)
	requireKind(t, err, loaderproto.BadRequest, loaderproto.SendRequest)
	require.Zero(t, conn.writes)

	if err := loaderproto.SendSpawnCommand(conn, req); err != nil {
		requireKind(t, err, loaderproto.BadRequest, loaderproto.SendRequest)
		require.Zero(t, conn.writes)
		return
	}

	// The command has none of the keys about the instance.
	instance := loaderproto.Request{
		PassengerRoot:    req.PassengerRoot,
		PassengerVersion: req.PassengerVersion,
		RubyLibDir:       req.RubyLibDir,
		GUPID:            req.GUPID,
		InstanceDir:      req.InstanceDir,
		SocketDir:        req.SocketDir,
	}
	requireKind(t, instance.Check(), loaderproto.BadRequest, loaderproto.SendRequest)
}
