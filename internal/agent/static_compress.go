package agent

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/validators"
)

const (
	// minCompressed is the size below which compression saves nothing, and maxCompressed the one above which a file is
	// sent as it is: what level 6 takes 150 ms of a processor for.
	minCompressed = 1 << 10
	maxCompressed = 4 << 20
	// compressionLevel is the one at which a text takes three quarters of the time of the default level, for 2 % more
	// bytes.
	compressionLevel = 5
	// compressionPiece is how much is compressed before other goroutines get the processor.
	compressionPiece = 32 << 10
	// maxCompressionWait is how long a request waits for its turn to compress a file before the file is sent as it is.
	maxCompressionWait = 100 * time.Millisecond
	// defaultStaticCache is the default of Config.StaticCacheSize, and minStaticCache the smallest size that is useful.
	defaultStaticCache = 32 << 20
	minStaticCache     = 1 << 20
	// staticCacheShare is the part of the cache that one file may fill: a quarter.
	staticCacheShare = 4
)

var (
	errCompressionBusy = errors.New("too many files are being compressed")
	errFileChanged     = errors.New("the file changed while it was compressed")
)

// compressedKey identifies the contents of a file in a coding.
type compressedKey struct {
	file   validators.FileID
	coding string
}

// keyOf returns false where the system does not tell files apart.
func keyOf(info fs.FileInfo, coding string) (compressedKey, bool) {
	id, ok := validators.FileIDOf(info)
	return compressedKey{file: id, coding: coding}, ok
}

// compressor compresses files, each once, and keeps the results. A nil one compresses nothing. It is safe for
// concurrent use.
type compressor struct {
	// limit is the most bytes that are kept.
	limit int64
	// slots has a place for each compression that may run at a time.
	slots chan struct{}
	// begun counts the compressions.
	begun atomic.Int64

	mu sync.Mutex
	// kept has the elements of used, in which the results used last come last.
	kept  map[compressedKey]*list.Element
	used  *list.List
	bytes int64
	// running are the compressions in progress.
	running map[compressedKey]*compression
}

// compressedFile is a kept result.
type compressedFile struct {
	key  compressedKey
	body []byte
}

// compression is one in progress. Its fields are set when done is closed.
type compression struct {
	done chan struct{}
	body []byte
	err  error
}

// newCompressor returns one that keeps at most limit bytes; nil if that is 0.
func newCompressor(limit int64) *compressor {
	if limit <= 0 {
		return nil
	}

	return &compressor{
		limit: limit,
		// Half of the processors stay free for requests.
		slots:   make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1)),
		kept:    map[compressedKey]*list.Element{},
		used:    list.New(),
		running: map[compressedKey]*compression{},
	}
}

// checkStaticCacheSize reports what is wrong with static_cache_size.
func (c *Config) checkStaticCacheSize() error {
	bytes := c.StaticCacheSize
	if bytes == 0 || bytes >= minStaticCache {
		return nil
	}

	return fmt.Errorf("static_cache_size is %d: it must be 0 (static files are not compressed) or at least %d bytes",
		bytes, minStaticCache)
}

// takes reports whether files of this size are compressed.
func (c *compressor) takes(size int64) bool {
	return c != nil && size >= minCompressed && size <= min(maxCompressed, c.limit/staticCacheShare)
}

// find returns the kept result, or nil.
func (c *compressor) find(info fs.FileInfo) []byte {
	key, ok := keyOf(info, gzipName)
	if !ok {
		return nil
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	return c.findLocked(key)
}

func (c *compressor) findLocked(key compressedKey) []byte {
	element := c.kept[key]
	if element == nil {
		return nil
	}

	c.used.MoveToBack(element)

	return c.at(element).body
}

func (*compressor) at(element *list.Element) *compressedFile {
	return element.Value.(*compressedFile) //nolint:forcetypeassert,errcheck // there is nothing else in the list
}

// compress returns the file in gzip: the kept result, or that of the compression in progress, or else of a new one. A
// caller whose context ends leaves; the compression is finished for others.
//
// Errors: errCompressionBusy, errFileChanged, those of the context and of reading the file.
func (c *compressor) compress(ctx context.Context, file syscall.Conn, info fs.FileInfo) ([]byte, error) {
	key, ok := keyOf(info, gzipName)
	if !ok {
		return nil, errors.ErrUnsupported
	}

	c.mu.Lock()
	if body := c.findLocked(key); body != nil {
		c.mu.Unlock()
		return body, nil
	}

	running := c.running[key]
	if running == nil {
		// The caller closes its file when it leaves.
		own, err := duplicateFile(file)
		if err != nil {
			c.mu.Unlock()
			return nil, err
		}

		running = &compression{done: make(chan struct{})}
		c.running[key] = running
		// In a goroutine of its own, since others may wait for the result when this caller has left.
		go c.run(key, running, own)
	}

	c.mu.Unlock()

	select {
	case <-running.done:
		return running.body, running.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run compresses a file, which it closes.
func (c *compressor) run(key compressedKey, running *compression, file *os.File) {
	running.body, running.err = c.runInSlot(key, file)
	// It was only read.
	_ = file.Close()

	// In one step, so that no request finds neither the compression nor its result.
	c.mu.Lock()
	defer c.mu.Unlock()

	delete(c.running, key)
	if running.err == nil {
		c.keepLocked(key, running.body)
	}

	close(running.done)
}

func (c *compressor) runInSlot(key compressedKey, file *os.File) ([]byte, error) {
	// The file itself is larger, but is sent at once.
	wait := time.NewTimer(maxCompressionWait)
	defer wait.Stop()

	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-wait.C:
		return nil, errCompressionBusy
	}

	c.begun.Add(1)

	body, err := gzipped(file, key.file.Size())
	if err != nil {
		return nil, err
	}

	// Of a file that is being written, the result would be kept as that of another version.
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}

	if now, _ := keyOf(info, key.coding); now != key {
		return nil, errFileChanged
	}

	return body, nil
}

// keepLocked keeps a result, and drops those not used longest for it.
func (c *compressor) keepLocked(key compressedKey, body []byte) {
	size := int64(len(body))
	if size > c.limit {
		return
	}

	for c.bytes+size > c.limit {
		oldest := c.used.Front()
		dropped := c.at(oldest)
		c.used.Remove(oldest)
		delete(c.kept, dropped.key)
		c.bytes -= int64(len(dropped.body))
	}

	c.kept[key] = c.used.PushBack(&compressedFile{key: key, body: body})
	c.bytes += size
}

var gzipWriters = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, compressionLevel) // the level is valid
	return z
}}

// gzipped compresses the first size bytes of a file. It does not use the file's offset.
func gzipped(file *os.File, size int64) ([]byte, error) {
	var b bytes.Buffer
	z := gzipWriters.Get().(*gzip.Writer) //nolint:forcetypeassert,errcheck // the pool's New makes nothing else
	defer gzipWriters.Put(z)
	z.Reset(&b)

	from := io.NewSectionReader(file, 0, size)
	for {
		_, err := io.CopyN(z, from, compressionPiece)
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return nil, err
		}

		// Requests that are ready need not wait until the scheduler interrupts us, which it does after 10 ms.
		runtime.Gosched()
	}

	if err := z.Close(); err != nil {
		return nil, err
	}

	// The buffer may have grown to twice what it has.
	return bytes.Clone(b.Bytes()), nil
}

// duplicateFile returns a file that stays open when file is closed.
func duplicateFile(file syscall.Conn) (*os.File, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}

	fd, dupErr := -1, error(nil)
	err = raw.Control(func(from uintptr) { fd, dupErr = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil {
		return nil, err
	}

	if dupErr != nil {
		return nil, dupErr
	}

	return os.NewFile(uintptr(fd), "static file"), nil
}
