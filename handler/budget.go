package handler

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopassenger/passenger/internal/sysmem"
)

const (
	// budgetShare is the part of the free space, and of the machine's memory, that buffers may take by default: a
	// quarter.
	budgetShare = 4
	// minDiskShare is what buffers may take of a small file system, which is full soon and says so itself.
	minDiskShare = 16 << 20
	// MinBufferBudget is the smallest limit of [NewBufferBudget].
	MinBufferBudget = 1 << 20
	// spaceInterval is how often the free space is read.
	spaceInterval = 5 * time.Second
	// minIdle is how long a client must have stalled before its buffers may be dropped for those of others.
	minIdle = 5 * time.Second
	// lookInterval is how often clients are looked at while buffers take more than half of what they may.
	lookInterval = time.Second
)

// BufferBudget bounds what the handlers that share it keep of requests and responses, in memory and on disk together.
// When it is used up, the largest buffer of a client that has sent or taken nothing for five seconds is dropped: its
// upload ends with status 408, its response is cut. If there is none, an upload ends with status 507, and a response is
// read from its application no faster than its client takes it. A BufferBudget is safe for concurrent use.
type BufferBudget struct {
	// max is the one limit of all buffers; nil means that memory and each directory's file system have their own.
	max    *budgetPart
	memory *budgetPart

	// looked is when the clients were looked at, in nanoseconds; zero means never.
	looked atomic.Int64

	mu       sync.Mutex
	disks    map[string]*budgetPart
	accounts map[*account]struct{}
}

// defaultBudget is shared by all handlers without a budget.
var defaultBudget = sync.OnceValue(newBufferBudget)

// NewBufferBudget returns a budget of maxBytes in all. Zero means the default: a quarter of the free space of each
// handler's DataBufferDir, read again every five seconds, and a quarter of the machine's memory.
func NewBufferBudget(maxBytes int64) (*BufferBudget, error) {
	if maxBytes != 0 && maxBytes < MinBufferBudget {
		return nil, fmt.Errorf("the budget for buffers is %d bytes: it must be at least %d, or large requests and "+
			"responses could not be served", maxBytes, MinBufferBudget)
	}

	b := newBufferBudget()
	if maxBytes > 0 {
		b.max = &budgetPart{}
		b.max.limit.Store(maxBytes)
	}

	return b, nil
}

func newBufferBudget() *BufferBudget {
	b := &BufferBudget{memory: &budgetPart{}, disks: map[string]*budgetPart{}, accounts: map[*account]struct{}{}}
	b.memory.limit.Store(sysmem.Total() / budgetShare)

	return b
}

// parts returns the budgets of the memory and of the disk that dir is on.
func (b *BufferBudget) parts(dir string) (memory, disk *budgetPart) {
	if b.max != nil {
		return b.max, b.max
	}

	if dir == "" {
		dir = os.TempDir()
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if b.disks[dir] == nil {
		b.disks[dir] = &budgetPart{dir: dir}
		b.disks[dir].check() // a limit that has not been read is zero
	}

	return b.memory, b.disks[dir]
}

// budgetPart is a limit, and how much of it is used, in bytes.
type budgetPart struct {
	used, limit atomic.Int64
	// dir is the directory whose file system's free space sets the limit; empty means that the limit is fixed.
	dir string
	// checked is when the free space was read, in nanoseconds; zero means never.
	checked atomic.Int64
}

func (p *budgetPart) take(n int64) bool {
	if p.dir != "" {
		p.check()
	}

	if p.used.Add(n) <= p.limit.Load() {
		return true
	}

	p.used.Add(-n)

	return false
}

// check reads the free space if that is due. Our own buffers count as free: else the limit would sink as they grow.
func (p *budgetPart) check() {
	now, last := time.Now().UnixNano(), p.checked.Load()
	if age := time.Duration(now - last); last != 0 && age.Abs() < spaceInterval ||
		!p.checked.CompareAndSwap(last, now) {
		return
	}

	free, err := freeSpace(p.dir)
	if err != nil {
		// Writing to it fails, and says why.
		p.limit.Store(int64(1) << 62)
		return
	}

	p.limit.Store(max((free+p.used.Load())/budgetShare, minDiskShare))
}

// account is what one exchange has taken of the budget. The zero value has nothing, and must not take anything.
type account struct {
	budget *BufferBudget
	client accountClient

	mu sync.Mutex
	// parts are the memory and the disk, and held what is taken of them.
	parts [2]*budgetPart
	held  [2]int64
	// since is when the exchange began to wait for the client; zero means that it does not wait.
	since   time.Time
	writing bool
	dropped bool
	// left is what the client had not taken at the last look; less than zero means that there was none since then.
	left int64
}

// accountClient is the client of an exchange.
type accountClient interface {
	// interrupt makes reading from the client, or writing to it, fail.
	interrupt(writing bool)
	// unsent is a [pace.Unsent].
	unsent() (bytes int64, known bool)
}

// inMemory and onDisk are the parts of an account.
const (
	inMemory = iota
	onDisk
)

var errDropped = errors.New(
	"the buffers of this request were dropped for those of others, since its client had stalled")

// budgetError means that the budget is used up.
type budgetError struct{ limit int64 }

func (e *budgetError) Error() string {
	return fmt.Sprintf("the buffers of all requests and responses have %d bytes together, and may have no more: "+
		"free some space, or raise the limit (max_buffer_size)", e.limit)
}

// open gives the account a budget, once.
func (a *account) open(b *BufferBudget, dir string, client accountClient) {
	if a.budget != nil {
		return
	}

	memory, disk := b.parts(dir)
	a.budget, a.parts, a.client = b, [...]*budgetPart{memory, disk}, client

	b.mu.Lock()
	defer b.mu.Unlock()
	b.accounts[a] = struct{}{}
}

// close returns everything to the budget.
func (a *account) close() {
	b := a.budget
	if b == nil {
		return
	}

	b.mu.Lock()
	delete(b.accounts, a)
	b.mu.Unlock()

	a.mu.Lock()
	defer a.mu.Unlock()
	a.emptyLocked()
}

func (a *account) emptyLocked() {
	for i, part := range a.parts {
		part.used.Add(-a.held[i])
		a.held[i] = 0
	}
}

// take takes n bytes of a part, and drops the buffers of others if need be.
//
// Errors: errDropped, *budgetError.
func (a *account) take(part int, n int64) error {
	p := a.parts[part]
	if p.used.Load() > p.limit.Load()/2 {
		// Before the room is needed: only two looks tell a client that stops from one that is slow.
		a.budget.look()
	}

	for !p.take(n) {
		if !a.budget.makeRoom(a, p) {
			return &budgetError{p.limit.Load()}
		}
	}

	if !a.charge(part, n) {
		p.used.Add(-n)
		return errDropped
	}

	return nil
}

// add takes a small amount, whatever the limit.
func (a *account) add(part int, n int64) {
	a.parts[part].used.Add(n)
	if !a.charge(part, n) {
		a.parts[part].used.Add(-n)
	}
}

// charge notes what was taken, and reports whether the account may have it.
func (a *account) charge(part int, n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dropped {
		return false
	}

	a.held[part] += n

	return true
}

// giveBack returns n bytes to the budget, or those that are left.
func (a *account) giveBack(part int, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n = min(n, a.held[part])
	a.held[part] -= n
	a.parts[part].used.Add(-n)
}

// wait notes that the exchange waits for its client, until proceed.
func (a *account) wait(writing bool) {
	if a.budget == nil {
		return
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	a.since, a.writing, a.left = time.Now(), writing, -1
}

// proceed notes that the exchange does not wait any more, and reports whether its buffers were dropped meanwhile.
func (a *account) proceed() (dropped bool) {
	if a.budget == nil {
		return false
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	a.since = time.Time{}

	return a.dropped
}

// makeRoom drops the largest buffers in a part that belong to a client that has stalled, but not to the account that
// needs the room. It reports whether there were any.
func (b *BufferBudget) makeRoom(needs *account, part *budgetPart) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	var largest *account

	most, now := int64(0), time.Now()
	for a := range b.accounts {
		if a == needs {
			continue
		}

		if held := a.idle(part, now); held > most {
			largest, most = a, held
		}
	}

	return largest != nil && largest.drop(now)
}

// look looks at all clients that are waited for, if that is due.
func (b *BufferBudget) look() {
	now := time.Now()
	last := b.looked.Load()
	if age := time.Duration(now.UnixNano() - last); last != 0 && age.Abs() < lookInterval ||
		!b.looked.CompareAndSwap(last, now.UnixNano()) {
		return
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	for a := range b.accounts {
		a.mu.Lock()
		a.lookLocked(now)
		a.mu.Unlock()
	}
}

// lookLocked counts the wait from the moment at which the client is known to have taken something. The kernel takes a
// third of its buffer at a time, so that a write may last for long although the client reads steadily.
func (a *account) lookLocked(now time.Time) {
	if a.since.IsZero() || !a.writing || a.dropped {
		return
	}

	if left, known := a.client.unsent(); known && left != a.left {
		a.since, a.left = now, left
	}
}

// idle returns what the account has of a part, if its client has stalled.
func (a *account) idle(part *budgetPart, now time.Time) (held int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lookLocked(now)
	if !a.stalledLocked(now) {
		return 0
	}

	for i := range a.parts {
		if a.parts[i] == part {
			held += a.held[i]
		}
	}

	return held
}

func (a *account) stalledLocked(now time.Time) bool {
	return !a.dropped && !a.since.IsZero() && now.Sub(a.since) >= minIdle
}

// drop interrupts the exchange. What it has counts as free at once: its goroutine, which has to close a file, wakes up.
func (a *account) drop(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.stalledLocked(now) {
		// The client has continued meanwhile: the caller tries again.
		return true
	}

	a.dropped = true
	a.emptyLocked()
	a.client.interrupt(a.writing)

	return true
}
