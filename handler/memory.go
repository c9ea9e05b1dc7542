package handler

import (
	"bufio"
	"sync"
)

const (
	readBufferSize = 16 << 10
	copyBufferSize = 32 << 10
	// maxMemory bounds what is kept of a body in memory, either way; the rest is in a file.
	maxMemory = 128 << 10
)

// memory is a reused buffer, of one of a few sizes: there may be thousands of requests whose clients have sent next to
// nothing.
type memory struct {
	b    []byte
	size int // index of memorySizes
}

var (
	memorySizes = [...]int{4 << 10, copyBufferSize, 64 << 10, maxMemory}
	memories    [len(memorySizes)]sync.Pool
	readers     = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBufferSize) }}
)

// newMemory returns the smallest buffer of at least n bytes, or the largest.
func newMemory(n int) *memory {
	size := 0
	for size < len(memorySizes)-1 && memorySizes[size] < n {
		size++
	}

	if m, ok := memories[size].Get().(*memory); ok {
		return m
	}

	return &memory{make([]byte, memorySizes[size]), size}
}

// capacity is the size in bytes; nil has none.
func (m *memory) capacity() int64 {
	if m == nil {
		return 0
	}

	return int64(len(m.b))
}

// free gives the buffer back; nil has nothing to give.
func (m *memory) free() {
	if m != nil {
		memories[m.size].Put(m)
	}
}

// grow frees m and returns a larger buffer with the same beginning; nil means that there is none.
func (m *memory) grow() *memory {
	if m.size == len(memorySizes)-1 {
		return nil
	}

	larger := newMemory(memorySizes[m.size+1])
	copy(larger.b, m.b)
	m.free()

	return larger
}

// scratch is memory that an exchange has for one purpose at a time.
type scratch struct{ memory *memory }

// borrow returns at least n bytes, maxMemory at most.
func (s *scratch) borrow(n int) []byte {
	if s.memory == nil || len(s.memory.b) < n {
		s.memory.free()
		s.memory = newMemory(n)
	}

	return s.memory.b
}
