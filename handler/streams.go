package handler

import "sync"

// addStream registers the response of an exchange as one that may never end by itself; end ends it.
func (x *exchange) addStream(end func()) {
	x.event.Stream = true
	x.upstream.session.MarkLong()
	x.h.streams.add(x, end)
}

// streams are the responses of a handler that may never end by themselves.
type streams struct {
	mu sync.Mutex
	// ends end them, without a wait.
	ends     map[*exchange]func()
	draining bool
}

// add registers the response of an exchange, which end ends.
func (s *streams) add(x *exchange, end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		end()
		return
	}

	if s.ends == nil {
		s.ends = map[*exchange]func(){}
	}

	s.ends[x] = end
}

func (s *streams) remove(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ends, x)
}

// end ends the response of x, if it is registered.
func (s *streams) end(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end := s.ends[x]; end != nil {
		end()
	}
}

// Drain ends WebSockets and streams of server-sent events, now and from now on, as a server does that is about to shut
// down: clients connect again, and other requests are served. It does not wait. Pass it to
// [http.Server.RegisterOnShutdown]: Shutdown would wait for streams for ever.
func (h *Handler) Drain() {
	s := &h.streams
	s.mu.Lock()
	defer s.mu.Unlock()

	s.draining = true
	for _, end := range s.ends {
		end()
	}
}
