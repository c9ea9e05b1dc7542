package dashboard

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// The limits of viewers. MaxViewers is how many may look at once, maxBehind how many events one may be late, and
// maxStall how long a write to one may take. A viewer beyond these is cut, and its browser connects again.
const (
	MaxViewers = 24

	maxBehind = 8
	maxStall  = 10 * time.Second
)

// lookInterval is the time between two events.
const lookInterval = time.Second

var errTooManyViewers = errors.New("too many viewers")

// hub looks at the source once a second while there are viewers, and gives all that look at the same topic the same
// bytes.
type hub struct {
	log logr.Logger
	// looking is held by the goroutine that looks: the one before may still be about to end.
	looking sync.Mutex
	look    look

	mu      sync.Mutex
	topics  map[topicKey]*topic
	viewers int
	// stop ends the goroutine that looks; nil means that there is none. wake makes it look at once.
	stop func()
	wake chan struct{}
}

// topicKey is what one looks at: all applications, or the one of this name.
type topicKey struct {
	one  bool
	name string
}

// topic is what some viewers look at.
type topic struct {
	encoder
	viewers map[*viewer]bool
}

// viewer gets the events of its topic. The channel is closed when the viewer is too late.
type viewer struct {
	key    topicKey
	events chan []byte
	// begun reports whether it has got a whole, to which later events are changes.
	begun bool
}

func newHub(source Source, title string, log logr.Logger) *hub {
	return &hub{
		log:    log,
		look:   look{source: source, title: title},
		topics: map[topicKey]*topic{},
		wake:   make(chan struct{}, 1),
	}
}

// join adds a viewer.
func (h *hub) join(key topicKey) (*viewer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()

	if h.viewers >= MaxViewers {
		return nil, errTooManyViewers
	}

	t := h.topics[key]
	if t == nil {
		t = &topic{encoder: newEncoder(key), viewers: map[*viewer]bool{}}
		h.topics[key] = t
	}

	// A viewer that falls behind is cut: changes that are left out cannot be made up for.
	v := &viewer{key: key, events: make(chan []byte, maxBehind)}
	t.viewers[v] = true
	h.viewers++

	if h.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		h.stop = cancel
		go h.run(ctx)
	}

	select {
	case h.wake <- struct{}{}:
	default: // it is about to look
	}

	return v, nil
}

// leave removes a viewer. Without one, nothing looks any more.
func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.removeLocked(v)
}

func (h *hub) removeLocked(v *viewer) {
	t := h.topics[v.key]
	if t == nil || !t.viewers[v] {
		return
	}

	delete(t.viewers, v)
	close(v.events)
	h.viewers--

	if len(t.viewers) == 0 {
		delete(h.topics, v.key)
	}

	if h.viewers == 0 {
		h.stop()
		h.stop = nil
	}
}

// run looks until ctx ends.
func (h *hub) run(ctx context.Context) {
	h.looking.Lock()
	defer h.looking.Unlock()

	// Reports are long: they are not kept without viewers.
	defer h.look.forget()

	tick := time.NewTicker(lookInterval)
	defer tick.Stop()

	for {
		select {
		case <-h.wake:
		case <-tick.C:
		case <-ctx.Done():
			return
		}

		seen, err := h.look.at(ctx, h.keys())
		if ctx.Err() != nil {
			return
		}

		if err != nil {
			h.log.V(1).Info("the dashboard has nothing to show", "err", err.Error())
		}

		if h.look.turned {
			h.look.turned = false
			h.beginAgain()
		}

		h.show(seen, err)
	}
}

// keys returns what one looks at, and whether there is a viewer that needs a whole.
func (h *hub) keys() map[topicKey]bool {
	h.mu.Lock()
	defer h.mu.Unlock()

	keys := make(map[topicKey]bool, len(h.topics))
	for key, t := range h.topics {
		keys[key] = t.hasNew()
	}

	return keys
}

// beginAgain lets all viewers get a whole by the next look, which is at once, and nothing before.
func (h *hub) beginAgain() {
	h.mu.Lock()
	defer h.mu.Unlock()

	for key, t := range h.topics {
		t.encoder = newEncoder(key)

		for v := range t.viewers {
			v.begun = false
		}
	}

	select {
	case h.wake <- struct{}{}:
	default: // it is about to look
	}
}

// show gives each viewer what has changed, or a whole at first.
func (h *hub) show(seen *state, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()

	for _, t := range h.topics {
		var whole, changes []byte

		failure := err
		if failure == nil {
			whole, changes, failure = t.encode(seen)
		}

		if failure != nil {
			changes = trouble(failure)
		}

		for v := range t.viewers {
			event := changes
			switch {
			case v.begun || failure != nil:
			case whole != nil:
				v.begun, event = true, whole
			default:
				continue // it has come meanwhile, and woken the hub
			}

			select {
			case v.events <- event:
			default:
				h.removeLocked(v)
			}
		}
	}
}

// hasNew reports whether a viewer needs a whole.
func (t *topic) hasNew() bool {
	for v := range t.viewers {
		if !v.begun {
			return true
		}
	}

	return false
}
