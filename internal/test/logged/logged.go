// Package logged keeps what is logged, for tests that look at it.
package logged

import (
	"fmt"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

// Buffer keeps all of it. The zero value is ready. It is safe for concurrent use.
type Buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Logger is one whose messages the buffer keeps, a line each.
func (b *Buffer) Logger() logr.Logger {
	return funcr.New(func(_, args string) {
		b.mu.Lock()
		defer b.mu.Unlock()
		fmt.Fprintln(&b.text, args)
	}, funcr.Options{})
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Count counts the lines that hold part.
func (b *Buffer) Count(part string) int {
	n := 0
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, part) {
			n++
		}
	}

	return n
}
