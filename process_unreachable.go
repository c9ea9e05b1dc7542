package passenger

// DefaultMaxUnanswered is the default of Options.MaxUnanswered.
const DefaultMaxUnanswered = 5

// Report tells the pool whether the process has answered the session's request. A nil
// error means that the first byte of a response came, whatever the response is; it counts
// when the session is closed. Another error is why none came, such as a connection that
// was closed at once, or a time-out; it counts now, after Close too. After
// Options.MaxUnanswered of these in a row, the process is replaced.
//
// A request of which neither is known is not reported: the client that went away before
// the response, for example.
func (s *Session) Report(err error) {
	if err == nil {
		s.answered = true
		return
	}

	s.process.group.pool.update(func(fx *effects) { s.process.requestFailed(fx, err) })
}

func (pr *process) requestFailed(fx *effects, err error) {
	pr.unanswered++
	if limit := pr.group.opts.maxUnanswered(); limit > 0 && pr.unanswered >= limit {
		pr.detachUnreachable(fx, err, "requests", pr.unanswered)
	}
}

func (pr *process) connectFailed(fx *effects, err error) { pr.detachUnreachable(fx, err) }

func (pr *process) detachUnreachable(fx *effects, err error, about ...any) {
	if pr.state == stateDetached {
		return
	}

	about = append([]any{"app", pr.group.name, "pid", pr.info.PID, "error", err.Error()}, about...)
	fx.warn(pr.group.pool, "Detaching a process that does not answer", about...)
	pr.unreachable = true
	pr.group.detach(fx, pr)
}
