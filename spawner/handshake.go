package spawner

import (
	"context"
	"io"
	"path/filepath"
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
	return loaderproto.Request{
		PassengerRoot:    a.dir.loaders,
		PassengerVersion: a.config.Version,
		RubyLibDir:       filepath.Join(a.dir.loaders, "ruby"),
		GUPID:            newGUPID(a.began),
		ConnectPassword:  randomAlphanumeric(passwordLength),
		InstanceDir:      a.dir.path,
		SocketDir:        a.sockets.path,
		AppRoot:          app.Root,
		AppGroupName:     app.Name(),
		AppType:          a.command.appType.Name,
		StartCommand:     app.StartCommand,
		StartupFile:      a.command.startupFile,
		ProcessTitle:     a.command.appType.ProcessTitle,
		LogLevel:         app.LogLevel,
		StartTimeout:     app.StartTimeout,
		Environment:      app.Environment,
		BaseURI:          app.BaseURI,
		SpawnMethod:      "direct",
		User:             app.User,
		Group:            app.Group,
		IntegrationMode:  "standalone",
		Ruby:             app.Ruby,
		Python:           app.Python,
		NodeJS:           app.NodeJS,
		Features:         []string{loaderproto.FeatureSessionKeepAlive},
	}
}

// negotiate runs the handshake until the start time-out or the end of ctx.
func (a *attempt) negotiate(ctx context.Context) (*loaderproto.Ready, io.Reader, error) {
	admin := a.child.admin
	a.child.setDeadline(a.started.Add(a.app.StartTimeout))
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = admin.SetDeadline(time.Unix(1, 0))
	})
	n := loaderproto.Negotiation{
		Request: a.req,
		Noise:   func(p []byte) { _, _ = a.output.out.Write(p) },
		Progress: func(s loaderproto.Step) {
			if name, ok := steps[s]; ok {
				a.journal.enter(name)
			}
		},
	}
	ready, rest, err := n.Negotiate(admin)
	if !stop() {
		// A deadline that is set later would cut off what follows.
		<-interrupted
	}
	if err == nil {
		err = canceled(ctx)
	}
	return ready, rest, err
}
