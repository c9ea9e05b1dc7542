package handler

import (
	"bufio"
	"sync"
	"sync/atomic"

	"github.com/gopassenger/passenger/internal/sysmem"
)

const (
	readBufferSize = 16 << 10
	copyBufferSize = 32 << 10
	// maxMemory bounds what is kept of a body in memory, either way; the rest is in a file.
	maxMemory = 128 << 10
	// maxLargeMemory bounds what is kept of a request's body instead, while all such bodies have room.
	maxLargeMemory = 1 << 20
	// maxAllLarge and largeShare bound the memory of all such bodies: it is at most that part of the machine's.
	maxAllLarge = 64 << 20
	largeShare  = 128
)

// memory is a reused buffer, of one of a few sizes: there may be thousands of requests whose clients have sent next to
// nothing.
type memory struct {
	b    []byte
	size int // index of memorySizes
}

var (
	memorySizes = [...]int{4 << 10, copyBufferSize, 64 << 10, maxMemory, 256 << 10, 512 << 10, maxLargeMemory}
	memories    [len(memorySizes)]sync.Pool
	readers     = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readBufferSize) }}
)

// newMemory returns the smallest buffer of at least n bytes, maxMemory at most.
func newMemory(n int) *memory {
	size := 0
	for memorySizes[size] < min(n, maxMemory) {
		size++
	}

	return memoryOf(size)
}

func memoryOf(size int) *memory {
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
	if m == nil {
		return
	}

	if len(m.b) > maxMemory {
		largeMemory.giveBack(int64(len(m.b)))
	}

	memories[m.size].Put(m)
}

// grow frees m and returns a larger buffer with the same beginning, of max bytes at most; nil means that there is none.
func (m *memory) grow(max int) *memory {
	next := m.size + 1
	if next == len(memorySizes) || memorySizes[next] > max {
		return nil
	}

	if memorySizes[next] > maxMemory && !largeMemory.take(int64(memorySizes[next])) {
		return nil
	}

	larger := memoryOf(next)
	copy(larger.b, m.b)
	m.free()

	return larger
}

// allowance is what all buffers above maxMemory may have together, and have.
type allowance struct {
	used  atomic.Int64
	limit func() int64
}

// largeMemory is that of this program. A body of a megabyte, such as a picture, costs half as much time if no file has
// to be made for it.
var largeMemory = allowance{
	limit: sync.OnceValue(func() int64 { return min(maxAllLarge, sysmem.Total()/largeShare) }),
}

func (a *allowance) take(n int64) bool {
	if a.used.Add(n) <= a.limit() {
		return true
	}

	a.used.Add(-n)

	return false
}

func (a *allowance) giveBack(n int64) { a.used.Add(-n) }

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
