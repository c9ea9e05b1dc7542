//go:build linux

package faults_test

import (
	"strings"
)

// lines are the lines of the log that have all the texts.
func (s *server) lines(texts ...string) (found []string) {
lines:
	for line := range strings.Lines(s.Stdout.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}

		found = append(found, line)
	}

	return found
}
