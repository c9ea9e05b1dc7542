package handler

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/gopassenger/passenger/internal/pace"
)

// piece is some of an answer, on its way through a relay.
type piece struct {
	*memory
	length int
}

func (p *piece) bytes() []byte { return p.b[:p.length] }

// relay keeps what the application has sent until the client has taken it: so
// much in memory, and what is more in a file, up to a limit. One goroutine puts,
// one takes. What is in the file came after what is in memory; when it has been
// taken the file is emptied.
type relay struct {
	limit int64
	dir   string
	// trouble is told of errors of the disk, and of a budget that is used up, which cost
	// nothing but the application's time: it has to wait for the client then.
	trouble func(error)
	account *account

	mu      sync.Mutex
	changed sync.Cond
	pieces  []piece
	file    *os.File
	// taken and filled are how much of the file was taken and written.
	taken, filled int64
	writing, full bool
	// ended: nothing more comes. gone: nobody takes any more.
	ended, gone bool
	err         error
}

// maxPieces is how many pieces are kept in memory.
const maxPieces = 2

func newRelay(limit int64, dir string, account *account, trouble func(error)) *relay {
	r := &relay{
		limit:   limit,
		dir:     dir,
		account: account,
		trouble: trouble,
	}
	r.changed.L = &r.mu

	return r
}

// put hands a piece over. It waits while there is no room; false: nobody takes
// it.
func (r *relay) put(p piece) bool {
	r.mu.Lock()
	defer r.mu.Unlock()

	for !r.gone {
		if r.filled == 0 && len(r.pieces) < maxPieces {
			r.account.add(inMemory, p.memory.bytes())
			r.pieces = append(r.pieces, p)
			r.changed.Broadcast()

			return true
		}

		if !r.full && r.filled < r.limit {
			if r.spill(p) {
				p.free()
				return true
			}

			continue
		}

		r.changed.Wait()
	}

	p.free()

	return false
}

// spill writes a piece to the file, without the lock. When the disk has no room,
// the relay goes on without it until what it has was taken.
func (r *relay) spill(p piece) bool {
	file, at := r.file, r.filled
	r.writing = true
	r.mu.Unlock()
	err := r.account.take(onDisk, int64(p.length))
	taken := err == nil
	if taken && file == nil {
		file, err = newBufferFile(r.dir)
	}

	if err == nil {
		_, err = file.WriteAt(p.bytes(), at)
	}

	if err != nil {
		if taken {
			err = &storeError{err}
			r.account.give(onDisk, int64(p.length))
		}

		if !errors.Is(err, errDropped) { // whoever takes the response finds out
			r.trouble(err)
		}

		if file != nil {
			_ = file.Truncate(at) // of what did get in
		}
	}

	r.mu.Lock()
	r.writing = false
	r.changed.Broadcast()
	if r.file == nil {
		r.file = file
	}

	if err != nil {
		r.full = true
		return false
	}

	r.filled += int64(p.length)

	return true
}

// end says that nothing more comes, because of err if that is not nil.
func (r *relay) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.err = true, err
	r.changed.Broadcast()
}

// leave says that nothing is taken any more, and cuts the application's
// connection if it is still the relay's.
func (r *relay) leave(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
	r.changed.Broadcast()
	if !r.ended {
		cut(conn)
	}
}

// next waits for what is to be taken: a piece, or so many bytes of a file from
// where it stands. Neither is the end, with the error that put it. idle is called
// before it waits.
func (r *relay) next(idle func()) (p piece, file *os.File, n int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()

	for idled := false; ; {
		switch {
		case len(r.pieces) > 0:
			p = r.pieces[0]
			r.pieces = r.pieces[:copy(r.pieces, r.pieces[1:])]
			r.account.give(inMemory, p.memory.bytes())
			if r.full && len(r.pieces) == 0 {
				r.full = false // perhaps there is room again
			}

			r.changed.Broadcast()

			return p, nil, 0, nil
		case r.taken < r.filled:
			return p, r.file, r.filled - r.taken, nil
		case r.filled > 0 && !r.writing:
			if err := r.empty(); err != nil {
				return p, nil, 0, err
			}

			continue
		case r.ended:
			return p, nil, 0, r.err
		}

		if idled {
			r.changed.Wait()
			continue
		}

		idled = true
		r.mu.Unlock()
		idle()
		r.mu.Lock()
	}
}

// empty gives the disk its room back.
func (r *relay) empty() error {
	if _, err := r.file.Seek(0, io.SeekStart); err != nil {
		return &storeError{err}
	}

	if err := r.file.Truncate(0); err != nil {
		return &storeError{err}
	}

	r.account.give(onDisk, r.filled)
	r.taken, r.filled, r.full = 0, 0, false
	r.changed.Broadcast()

	return nil
}

// took says that so many bytes of the file were.
func (r *relay) took(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken += n
}

// free gives back what the relay has. Nobody uses it any more.
func (r *relay) free() {
	for i := range r.pieces {
		r.pieces[i].free()
	}

	r.pieces = nil
	if r.file != nil {
		_ = r.file.Close() // it was only read
	}
}

// relay gives the client the answer at its own pace, while a goroutine takes it
// from the application and lets that go.
func (x *exchange) relay(first []byte) error {
	x.openAccount()
	r := newRelay(x.h.cfg.MaxResponseBuffer, x.h.cfg.DataBufferDir, &x.account, x.h.diskTrouble)
	done := make(chan struct{})
	conn := x.conn
	x.control() // both goroutines need it
	go func() {
		defer close(done)
		x.fill(r)
	}()
	var err error
	if len(first) > 0 {
		err = x.give(first)
	}

	if err == nil {
		err = x.drain(r)
	}

	if err != nil && !errors.Is(err, errClientGone) {
		// What there is of the answer is the client's, so that it sees one that
		// broke off and not none.
		x.flush()
	}

	r.leave(conn)
	<-done
	r.free()

	return err
}

// fill takes the answer from the application.
func (x *exchange) fill(r *relay) {
	for {
		p := piece{memory: newMemory(copyBufferSize)}
		n, err := x.reading.Read(p.b)
		p.length = n
		if n == 0 {
			p.free()
		} else if !r.put(p) {
			err = errors.Join(err, errClientGone)
		}

		switch {
		case errors.Is(err, io.EOF):
			r.finish(x)
			return
		case err != nil:
			r.end(err)
			return
		}
	}
}

// finish lets the process go before the end is told: from then on nobody may
// touch its connection.
func (r *relay) finish(x *exchange) {
	r.mu.Lock()
	r.ended = true
	var cut error
	if r.gone {
		cut = errClientGone
	}

	r.mu.Unlock()
	x.releaseProcess(cut)
	r.end(nil)
}

// drain gives the client what the relay has.
func (x *exchange) drain(r *relay) error {
	for {
		p, file, n, err := r.next(x.flush)
		switch {
		case err != nil:
			return err
		case p.memory != nil:
			err = x.give(p.bytes())
			p.free()
		case file != nil:
			n, err = x.giveFile(file, min(n, pace.Piece))
			r.took(n)
		default:
			return nil
		}

		if err != nil {
			return err
		}
	}
}

// giveFile writes from a file, which the kernel does by itself where it can.
func (x *exchange) giveFile(file *os.File, n int64) (given int64, err error) {
	x.beginWrite(int(n))
	given, err = io.CopyN(x.w, file, n)
	x.endWrite()
	x.sent.Add(given)
	if err != nil {
		return given, fmt.Errorf("%w: %w", errClientGone, err)
	}

	return given, nil
}
