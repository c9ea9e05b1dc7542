package passenger

import (
	"context"
	"net/textproto"
)

// Observers returns an Observer that tells all of these, in their order and each with an
// event of its own; nil ones are left out. The context that one returns for a request is
// the next one's, and the last one's is that of the request and of all of its ends. Of two
// that set the same header for the application the later one wins.
func Observers(all ...Observer) Observer {
	several := make(observers, 0, len(all))
	for _, o := range all {
		if o != nil {
			several = append(several, o)
		}
	}

	return several
}

type observers []Observer

func (all observers) RequestBegan(ctx context.Context, e *RequestEvent) context.Context {
	for _, o := range all {
		own := *e
		own.AppHeader = nil
		ctx = o.RequestBegan(ctx, &own) //nolint:fatcontext // each adds to the one before
		if len(own.AppHeader) == 0 {
			continue
		}

		if e.AppHeader == nil {
			e.AppHeader = make(textproto.MIMEHeader, len(own.AppHeader))
		}

		for name, values := range own.AppHeader {
			e.AppHeader[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}

	return ctx
}

func (all observers) RequestEnded(ctx context.Context, e *RequestEvent) {
	tell(all, e, func(o Observer, e *RequestEvent) { o.RequestEnded(ctx, e) })
}

func (all observers) SpawnBegan(e *SpawnEvent)        { tell(all, e, Observer.SpawnBegan) }
func (all observers) SpawnEnded(e *SpawnEvent)        { tell(all, e, Observer.SpawnEnded) }
func (all observers) ProcessAttached(e *ProcessEvent) { tell(all, e, Observer.ProcessAttached) }
func (all observers) ProcessDetached(e *ProcessEvent) { tell(all, e, Observer.ProcessDetached) }
func (all observers) RestartBegan(e *RestartEvent)    { tell(all, e, Observer.RestartBegan) }
func (all observers) RestartEnded(e *RestartEvent)    { tell(all, e, Observer.RestartEnded) }

// tell gives each observer an event of its own, which is the callee's to keep.
func tell[E any](all observers, e *E, to func(Observer, *E)) {
	for _, o := range all {
		own := *e
		to(o, &own)
	}
}
