package handler

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
)

// piece is a part of a response in a spool.
type piece struct {
	*memory
	length int
}

func (p *piece) bytes() []byte { return p.b[:p.length] }

// spool keeps what the application has sent until the client has taken it: a little in memory, and the rest in a file,
// up to a limit. One goroutine adds, one takes. What is in the file came after what is in memory; the file is emptied
// when all of it has been taken.
type spool struct {
	limit int64
	dir   string
	// logError gets errors of the disk, and of a budget that is used up. They cost nothing but the application's time,
	// which has to wait for the client then.
	logError func(error)
	account  *account

	mu      sync.Mutex
	changed sync.Cond
	pieces  []piece
	file    *os.File
	// written and taken count the bytes of the file.
	written, taken int64
	// writing reports whether the file is being written, full whether it takes no more until it has been emptied.
	writing, full bool
	// ended reports whether the application sends no more, abandoned whether the client takes no more.
	ended, abandoned bool
	err              error
}

// maxPieces bounds the pieces in memory.
const maxPieces = 2

func newSpool(limit int64, dir string, account *account, logError func(error)) *spool {
	s := &spool{
		limit:    limit,
		dir:      dir,
		account:  account,
		logError: logError,
	}
	s.changed.L = &s.mu

	return s
}

// add takes over a piece, and waits while there is no room. It reports whether the client still takes pieces.
func (s *spool) add(p piece) bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	for !s.abandoned {
		// What is in the file came after the pieces in memory, so that none may follow it there.
		if s.written == 0 && len(s.pieces) < maxPieces {
			s.account.add(inMemory, p.capacity())
			s.pieces = append(s.pieces, p)
			s.changed.Broadcast()

			return true
		}

		if !s.full && s.written < s.limit {
			if s.spillLocked(p) {
				p.free()
				return true
			}

			continue
		}

		s.changed.Wait()
	}

	p.free()

	return false
}

// spillLocked writes a piece to the file, and unlocks meanwhile. When the disk has no room, the spool does without it
// until what it has was taken.
func (s *spool) spillLocked(p piece) bool {
	file, at := s.file, s.written
	s.writing = true
	s.mu.Unlock()

	file, err := s.writeAt(file, at, p)

	s.mu.Lock()
	s.writing = false
	s.changed.Broadcast()
	if s.file == nil {
		s.file = file
	}

	if err != nil {
		s.full = true
		return false
	}

	s.written += int64(p.length)

	return true
}

// writeAt writes a piece to the file, or to a new one.
func (s *spool) writeAt(file *os.File, at int64, p piece) (*os.File, error) {
	err := s.account.take(onDisk, int64(p.length))
	taken := err == nil
	if taken && file == nil {
		file, err = newBufferFile(s.dir)
	}

	if err == nil {
		_, err = file.WriteAt(p.bytes(), at)
	}

	if err == nil {
		return file, nil
	}

	if taken {
		err = &storeError{err}
		s.account.giveBack(onDisk, int64(p.length))
	}

	// The goroutine that writes to the client finds out about a dropped account by itself.
	if !errors.Is(err, errDropped) {
		s.logError(err)
	}

	if file != nil {
		// The disk gets back what did get in.
		_ = file.Truncate(at)
	}

	return file, err
}

// complete notes that the application has sent everything. It returns errClientGone if the client takes no more.
func (s *spool) complete() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.ended = true
	if s.abandoned {
		return errClientGone
	}

	return nil
}

// end wakes the client's side: nothing more comes, because of err if that is not nil.
func (s *spool) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.ended, s.err = true, err
	s.changed.Broadcast()
}

// abandon notes that the client takes no more, and interrupts the application's connection if it is still the spool's.
func (s *spool) abandon(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.abandoned = true
	s.changed.Broadcast()
	if !s.ended {
		interrupt(conn)
	}
}

// next waits for what there is to take: a piece, or n bytes of a file from where it stands. Neither means the end, with
// the error that end got. idle is called before next waits.
func (s *spool) next(idle func()) (p piece, file *os.File, n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	for idled := false; ; {
		switch {
		case len(s.pieces) > 0:
			return s.takeLocked(), nil, 0, nil
		case s.taken < s.written:
			return p, s.file, s.written - s.taken, nil
		case s.written > 0 && !s.writing:
			if err := s.truncateLocked(); err != nil {
				return p, nil, 0, err
			}

			continue
		case s.ended:
			return p, nil, 0, s.err
		}

		if idled {
			s.changed.Wait()
			continue
		}

		// Before it waits for the application, the client gets what the server has buffered.
		idled = true
		s.unlocked(idle)
	}
}

// unlocked calls f without the lock, which it has again even if f panics.
func (s *spool) unlocked(f func()) {
	s.mu.Unlock()
	defer s.mu.Lock()
	f()
}

// takeLocked returns the first piece in memory.
func (s *spool) takeLocked() piece {
	p := s.pieces[0]
	s.pieces = s.pieces[:copy(s.pieces, s.pieces[1:])]
	s.account.giveBack(inMemory, p.capacity())

	// Perhaps the disk has room again.
	if s.full && len(s.pieces) == 0 {
		s.full = false
	}

	s.changed.Broadcast()

	return p
}

// truncateLocked empties the file, which gives the disk its room back.
func (s *spool) truncateLocked() error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return &storeError{err}
	}

	if err := s.file.Truncate(0); err != nil {
		return &storeError{err}
	}

	s.account.giveBack(onDisk, s.written)
	s.taken, s.written, s.full = 0, 0, false
	s.changed.Broadcast()

	return nil
}

// advance notes that n bytes of the file were taken.
func (s *spool) advance(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.taken += n
}

// close frees what the spool has. No goroutine uses it any more.
func (s *spool) close() {
	for i := range s.pieces {
		s.pieces[i].free()
	}

	s.pieces = nil
	if s.file != nil {
		// An error does not matter: the file was only read.
		_ = s.file.Close()
	}
}
