package procstat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeProc is a proc file system made of files.
type fakeProc struct {
	t    *testing.T
	root string
}

const bootTime = 1_700_000_000

func newFakeProc(t *testing.T) *fakeProc {
	t.Helper()
	f := &fakeProc{t: t, root: t.TempDir()}
	require.NoError(t, os.Symlink("1", filepath.Join(f.root, "self")))
	f.write("stat", fmt.Sprintf("cpu  1 2 3 4 5 6 7 8 9 10\nbtime %d\n", bootTime))

	return f
}

func (f *fakeProc) write(name, content string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	require.NoError(f.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(f.t, os.WriteFile(path, []byte(content), 0o600))
}

// unreadable makes a file that exists and cannot be read, by root neither.
func (f *fakeProc) unreadable(name string) {
	f.t.Helper()
	path := filepath.Join(f.root, name)
	require.NoError(f.t, os.RemoveAll(path))
	require.NoError(f.t, os.MkdirAll(path, 0o755))
}

func (f *fakeProc) remove(pid int) {
	f.t.Helper()
	require.NoError(f.t, os.RemoveAll(filepath.Join(f.root, strconv.Itoa(pid))))
}

// process makes a whole process that started at start and has used ticks of CPU
// time.
func (f *fakeProc) process(pid int, start, ticks uint64) {
	f.t.Helper()
	dir := strconv.Itoa(pid) + "/"
	f.write(dir+"stat", statLine(pid, start, ticks))
	f.write(dir+"status", "Name:\tapp\nTgid:\t9\nUid:\t1000\t1001\t1002\t1003\nGid:\t1\t1\t1\t1\nNSpid:\t"+
		strconv.Itoa(pid)+"\n")
	f.write(dir+"cmdline", "ruby\x00app.rb\x00")
	f.write(dir+"smaps_rollup", rollup(40, 30, 20, 10))
}

// place makes a process below parent that has used own ticks of CPU time, and its
// ended children ended.
func (f *fakeProc) place(pid, parent, session int, own, ended uint64) {
	f.t.Helper()
	f.process(pid, 500, own)
	f.write(strconv.Itoa(pid)+"/stat", fmt.Sprintf(
		"%d (a (b) S S) S %d %d %d 0 -1 4194304 1 2 3 4 %d 0 %d 0 20 0 1 0 500 8192000 10 18446744073709551615 1 2 "+
			"3%s 17 0 0 0 0 0 0\n",
		pid, parent, session, session, own, ended, strings.Repeat(" 0", 9)))
}

// mark gives a process an environment.
func (f *fakeProc) mark(pid int, environ ...string) {
	f.t.Helper()
	f.write(strconv.Itoa(pid)+"/environ", strings.Join(environ, "\x00")+"\x00")
}

// newest says which process was started last.
func (f *fakeProc) newest(pid int) {
	f.t.Helper()
	f.write("loadavg", fmt.Sprintf("0.01 0.02 0.03 1/99 %d\n", pid))
}

func statLine(pid int, start, ticks uint64) string {
	return fmt.Sprintf("%d (app) (x)) S 7 8 9 0 -1 4194304 1 2 3 4 %d %d 99 99 20 0 1 0 %d 8192000 10 %s 1 2 3%s 17 "+
		"0 0 0 0 0 0\n",
		pid, ticks-ticks/4, ticks/4, start, "18446744073709551615", strings.Repeat(" 0", 9))
}

// rollup has its sizes in kB.
func rollup(rss, pss, dirty, swap int) string {
	return fmt.Sprintf("1000-2000 ---p 00000000 00:00 0    [rollup]\nRss: %d kB\nPss: %d kB\nPrivate_Dirty: %d "+
		"kB\nSwap: %d kB\n",
		rss, pss, dirty, swap)
}
