package apiserver

import "net/http"

// LevelOf returns the level of the account whose name and password a request has; ok is false if there is none, or if
// there were too many wrong ones. It is for what a program serves beside the API to the same accounts. It counts wrong
// passwords as the API does.
func (s *Server) LevelOf(r *http.Request) (level Level, ok bool) {
	c := &call{Server: s, r: r}

	name, password, ok := c.credentials()
	if !ok || !s.guesses.allowed(c.caller()) {
		return ReadOnly, false
	}

	level, ok = findAccount(s.accounts, name, password)
	if !ok {
		s.guesses.failed(c.caller())
	}

	return level, ok
}
