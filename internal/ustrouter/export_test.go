package ustrouter

// RouterStats count transactions since the Router was made.
type RouterStats struct {
	// Connections are those of observers that are open.
	Connections int
	// Received are the transactions that were taken. Of them, Waiting are yet to
	// be given to the sink, and Dropped were not, as too many waited.
	Received, Dropped uint64
	Waiting           int
	// Refused counts connections that were closed: of other users, too many, or
	// of a program that does not speak the protocol.
	Refused uint64
}

// Stats tells how it does. It may be called at any time.
func (r *Router) Stats() RouterStats {
	return RouterStats{
		Connections: int(r.connections.Load()),
		Received:    r.received.Load(),
		Dropped:     r.drops.count.Load(),
		Waiting:     len(r.queue.entries),
		Refused:     r.refused.Load(),
	}
}

// ObserverStats count transactions since the Observer was made.
type ObserverStats struct {
	// Delivered are those that a router has taken, Dropped those that are lost.
	Delivered, Dropped uint64
	// Waiting is how many there are to be sent.
	Waiting int
}

// Stats tells how it does. It may be called at any time.
func (o *Observer) Stats() ObserverStats {
	return ObserverStats{
		Delivered: o.sender.delivered.Load(), Dropped: o.sender.drops.count.Load(), Waiting: len(o.queue.entries),
	}
}

// SinkStats count transactions since the sink was made.
type SinkStats struct {
	// Written are kept or passed on, Dropped lost, and Waiting neither yet.
	Written, Dropped uint64
	Waiting          int
}

// Stats adds up those of all.
func (s *Sinks) Stats() SinkStats {
	var sum SinkStats
	for _, sink := range s.all() {
		one := sink.(interface{ Stats() SinkStats }).Stats() //nolint:forcetypeassert,errcheck // all have it
		sum.Written += one.Written
		sum.Dropped += one.Dropped
		sum.Waiting += one.Waiting
	}

	return sum
}

// Stats tells how it does.
func (f *File) Stats() SinkStats {
	return SinkStats{Written: f.written.Load(), Dropped: f.dropped.Load()}
}

// Stats tells how it does.
func (o *OTLP) Stats() SinkStats {
	return SinkStats{Written: o.written.Load(), Dropped: o.drops.count.Load(), Waiting: len(o.queue.entries)}
}
