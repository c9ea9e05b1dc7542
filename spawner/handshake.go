package spawner

import (
	"cmp"
	"context"
	"io"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/loaderproto"
)

// steps are the parts of the journey that the protocol's steps belong to.
var steps = map[loaderproto.Step]StepName{
	loaderproto.AwaitHandshake: StepHandshake,
	loaderproto.SendRequest:    StepRequest,
	loaderproto.AwaitReply:     StepLoad,
	loaderproto.ReadReady:      StepReady,
}

func (a *attempt) request() loaderproto.Request {
	app := &a.app
	method := DirectSpawning
	if a.command.preloader != nil {
		method = SmartSpawning
	}

	r := loaderproto.Request{
		PassengerRoot:     cmp.Or(app.PassengerRoot, a.dir.loaders),
		PassengerVersion:  a.config.Version,
		RubyLibDir:        cmp.Or(app.RubyLibDir, filepath.Join(a.dir.loaders, "ruby")),
		GUPID:             a.gupid,
		ConnectPassword:   a.password,
		InstanceDir:       a.dir.path,
		SocketDir:         a.sockets.path,
		AppRoot:           app.Root,
		AppGroupName:      app.Name(),
		AppType:           a.command.appType.Name,
		StartCommand:      a.command.startCommand,
		StartupFile:       a.command.startupFile,
		StartupModule:     a.command.module,
		StartupCallable:   a.command.callable,
		ProcessTitle:      a.command.appType.processTitle,
		LogLevel:          app.LogLevel,
		StartTimeout:      app.StartTimeout,
		Environment:       app.Environment,
		BaseURI:           app.BaseURI,
		SpawnMethod:       method,
		User:              app.User,
		Group:             app.Group,
		DefaultUser:       a.config.DefaultUser,
		DefaultGroup:      a.config.DefaultGroup,
		IntegrationMode:   "standalone",
		Ruby:              cmp.Or(app.Ruby, DefaultRuby),
		Python:            a.python(),
		NodeJS:            cmp.Or(app.NodeJS, DefaultNodeJS),
		MeteorAppSettings: app.MeteorSettings,
		ThreadCount:       app.ThreadCount,
		ASGIServer:        app.ASGIServer,
		Features: append([]string{
			loaderproto.FeatureSessionKeepAlive, loaderproto.FeatureHTTPOutOfBandWork, loaderproto.FeatureHTTPClient,
		}, a.offeredTraces()...),
	}
	if a.identity.byStartupFile {
		r.StartupFileUID = strconv.Itoa(a.identity.uid)
	}

	return r
}

// python is the interpreter as it was found, or as it was configured.
func (a *attempt) python() string {
	if t := a.command.appType.Name; t == "wsgi" || t == "asgi" {
		return a.command.argv[0]
	}

	return a.app.Python
}

func (a *attempt) negotiation(req loaderproto.Request) *loaderproto.Negotiation {
	return &loaderproto.Negotiation{
		Request: req,
		Noise:   func(p []byte) { _, _ = a.output.out.Write(p) },
		Progress: func(s loaderproto.Step) {
			if name, ok := steps[s]; ok {
				a.journal.enter(name)
			}
		},
	}
}

// negotiate runs the handshake until the start time-out or the end of ctx.
func (a *attempt) negotiate(ctx context.Context) (ready *loaderproto.Ready, rest io.Reader, err error) {
	n := a.negotiation(a.request())
	err = a.converse(ctx, func(conn io.ReadWriter) (err error) {
		ready, rest, err = n.Negotiate(conn)
		return err
	})

	return ready, rest, err
}

// converse lets talk speak with the process until the start time-out or the
// end of ctx.
func (a *attempt) converse(ctx context.Context, talk func(io.ReadWriter) error) error {
	c := a.child
	c.setDeadline(a.started.Add(a.app.StartTimeout))
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		// A deadline in the past ends reads and writes that are in progress.
		_ = c.admin.SetDeadline(time.Unix(1, 0))
	})
	err := talk(struct {
		io.Reader
		io.Writer
	}{c.in, c.admin})
	if !stop() {
		// A deadline that is set later would cut off what follows.
		<-interrupted
	}

	if err == nil {
		err = canceled(ctx)
	}

	return err
}
