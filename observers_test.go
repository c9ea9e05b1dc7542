package passenger_test

import (
	"context"
	"net/textproto"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
)

type orderKey struct{}

// noter is an observer that notes its events, and changes each.
type noter struct {
	name   string
	header textproto.MIMEHeader
	notes  *[]string
}

func (r noter) note(what string) { *r.notes = append(*r.notes, r.name+" "+what) }

func (r noter) RequestBegan(ctx context.Context, e *passenger.RequestEvent) context.Context {
	before, _ := ctx.Value(orderKey{}).(string)
	r.note("began after " + before)
	if e.AppHeader != nil {
		r.note("found headers")
	}

	e.AppHeader, e.AppName = r.header, "changed"

	return context.WithValue(ctx, orderKey{}, before+r.name)
}

func (r noter) RequestEnded(ctx context.Context, e *passenger.RequestEvent) {
	order, _ := ctx.Value(orderKey{}).(string)
	r.note("ended " + e.AppName + " of " + order)
	e.AppName = "changed"
}

func (r noter) SpawnBegan(e *passenger.SpawnEvent) {
	r.note("SpawnBegan " + e.AppName)
	e.AppName = "x"
}

func (r noter) SpawnEnded(e *passenger.SpawnEvent) {
	r.note("SpawnEnded " + e.AppName)
	e.AppName = "x"
}

func (r noter) ProcessAttached(e *passenger.ProcessEvent) {
	r.note("Attached " + e.AppName)
	e.AppName = "x"
}

func (r noter) ProcessDetached(e *passenger.ProcessEvent) {
	r.note("Detached " + e.AppName)
	e.AppName = "x"
}

func (r noter) RestartBegan(e *passenger.RestartEvent) {
	r.note("RestartBegan " + e.AppName)
	e.AppName = "x"
}

func (r noter) RestartEnded(e *passenger.RestartEvent) {
	r.note("RestartEnded " + e.AppName)
	e.AppName = "x"
}

func TestObserversTellsEachInOrderWithAnEventOfItsOwn(t *testing.T) {
	var notes []string
	first := noter{"a", textproto.MIMEHeader{"traceparent": {"a"}, "X-A": {"1"}}, &notes}
	second := noter{"b", textproto.MIMEHeader{"Traceparent": {"b"}, "X-B": nil}, &notes}
	o := passenger.Observers(first, nil, second, passenger.NoObserver{})

	e := passenger.RequestEvent{AppName: "shop"}
	ctx := o.RequestBegan(t.Context(), &e)
	require.Equal(t, textproto.MIMEHeader{"Traceparent": {"b"}, "X-A": {"1"}, "X-B": nil}, e.AppHeader)
	require.Equal(t, "shop", e.AppName)
	require.Len(t, first.header, 2, "an observer's header stays its own")
	o.RequestEnded(ctx, &passenger.RequestEvent{AppName: "shop"})
	require.Equal(t, []string{"a began after ", "b began after a", "a ended shop of ab", "b ended shop of ab"}, notes)

	notes = nil
	o.SpawnBegan(&passenger.SpawnEvent{AppName: "shop"})
	o.SpawnEnded(&passenger.SpawnEvent{AppName: "shop"})
	o.ProcessAttached(&passenger.ProcessEvent{AppName: "shop"})
	o.ProcessDetached(&passenger.ProcessEvent{AppName: "shop"})
	o.RestartBegan(&passenger.RestartEvent{AppName: "shop"})
	o.RestartEnded(&passenger.RestartEvent{AppName: "shop"})

	want := make([]string, 0, 12)
	for _, what := range []string{"SpawnBegan", "SpawnEnded", "Attached", "Detached", "RestartBegan", "RestartEnded"} {
		want = append(want, "a "+what+" shop", "b "+what+" shop")
	}

	require.Equal(t, want, notes)

	none := passenger.Observers()
	require.Equal(t, t.Context(), none.RequestBegan(t.Context(), &e))
}

// failing is an observer that panics at one of its events.
type failing struct {
	passenger.NoObserver
	at string
}

func (f failing) event(name string) {
	if name == f.at {
		panic("a fault in " + name)
	}
}

func (f failing) RequestBegan(ctx context.Context, _ *passenger.RequestEvent) context.Context {
	f.event("RequestBegan")
	return ctx
}

func (f failing) RequestEnded(context.Context, *passenger.RequestEvent) { f.event("RequestEnded") }
func (f failing) SpawnBegan(*passenger.SpawnEvent)                      { f.event("SpawnBegan") }

// Each beginning has one end for the others, so that no gauge of theirs stays up.
func TestPanicOfAnObserverTakesNoEventFromTheOthers(t *testing.T) {
	for at, want := range map[string][]string{
		"RequestBegan": {"a began after ", "a ended shop of a"},
		"RequestEnded": {"a began after ", "b began after a", "a ended shop of ab", "b ended shop of ab"},
		"SpawnBegan":   {"a SpawnBegan shop", "b SpawnBegan shop"},
	} {
		t.Run(at, func(t *testing.T) {
			var notes []string
			o := passenger.Observers(noter{"a", nil, &notes}, failing{at: at}, noter{"b", nil, &notes})

			require.PanicsWithValue(t, "a fault in "+at, func() {
				if at == "SpawnBegan" {
					o.SpawnBegan(&passenger.SpawnEvent{AppName: "shop"})
				}

				ctx := o.RequestBegan(t.Context(), &passenger.RequestEvent{AppName: "shop"})
				o.RequestEnded(ctx, &passenger.RequestEvent{AppName: "shop"})
			})
			require.Equal(t, want, notes)
		})
	}
}
