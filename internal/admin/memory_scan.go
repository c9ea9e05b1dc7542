package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gopassenger/passenger/instancedir"
	"github.com/gopassenger/passenger/procstat"
)

// MemoryScan says what is looked for.
type MemoryScan struct {
	Version string
	// Instances are asked for their processes; CallTimeout is how long each of
	// them may take.
	Instances   []instancedir.Instance
	CallTimeout time.Duration
	// NoApache and NoNginx leave these out.
	NoApache, NoNginx bool
	// HTTPD is another name or path of Apache; empty means the usual names.
	HTTPD string
	// Warn gets what could not be found out.
	Warn func(string)
}

// Run looks at all processes. The error is that of reading them.
func (s *MemoryScan) Run(ctx context.Context) (*MemoryReport, error) {
	ours, cores := s.askInstances(ctx)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("the processes of this system cannot be read: %w",
			errors.Join(errors.ErrUnsupported, err))
	}

	found := map[int]looked{}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			found[pid] = look(pid)
		}
	}

	var apache, nginx, passenger []int
	for pid, p := range found {
		switch {
		case below(found, pid, ours, cores) || p.isPassenger():
			passenger = append(passenger, pid)
		case p.is("apache2", "apache2.worker", "httpd", "httpd.worker") || s.HTTPD != "" &&
			p.is(filepath.Base(s.HTTPD), filepath.Base(s.HTTPD)+".worker"):
			apache = append(apache, pid)
		case p.is("nginx"):
			nginx = append(nginx, pid)
		}
	}

	r := &MemoryReport{Version: s.Version, At: time.Now()}
	if r.Passenger, err = table(passenger); err != nil {
		return nil, err
	}

	if !s.NoApache {
		t, err := table(apache)
		if err != nil {
			return nil, err
		}

		r.Apache = &t
	}

	if !s.NoNginx {
		t, err := table(nginx)
		if err != nil {
			return nil, err
		}

		r.Nginx = &t
	}

	return r, nil
}

// below reports whether a process is one of ours or was started by one, however
// many others are between them.
func below(found map[int]looked, pid int, ours, cores claims) bool {
	// Processes change while they are read, and could seem to be in a loop.
	for range len(found) {
		p, exists := found[pid]
		if !exists {
			return false
		}

		if ours.include(pid) || cores.include(p.parent) {
			return true
		}

		pid = p.parent
	}

	return false
}

func table(pids []int) (MemoryTable, error) {
	var sampler procstat.Sampler
	found, err := sampler.Sample(pids)
	if err != nil {
		return MemoryTable{}, err
	}

	processes := make([]procstat.Process, 0, len(found))
	for _, p := range found {
		// A zombie has no memory any more.
		if !p.Zombie() {
			processes = append(processes, p)
		}
	}

	slices.SortFunc(processes, func(a, b procstat.Process) int { return cmp.Compare(a.PID, b.PID) })

	return *newMemoryTable(processes), nil
}

// askInstances returns the processes of applications, which may be of any
// language, and the cores, whose other children are preloaders.
func (s *MemoryScan) askInstances(ctx context.Context) (ours, cores claims) {
	ours, cores = claims{}, claims{}
	for i := range s.Instances {
		instance := &s.Instances[i]
		apps, err := s.ask(ctx, instance)
		if err != nil {
			s.Warn(fmt.Sprintf("the instance %s does not tell its processes, some of which may be missing: %v",
				instance.Name, err))
			continue
		}

		for _, app := range apps {
			for _, pid := range app.PIDs {
				ours.add(pid, instance.UID)
			}
		}

		// The directory is believed once the agent has responded.
		for _, pid := range []int{instance.Properties.WatchdogPID, instance.Properties.CorePID} {
			ours.add(pid, instance.UID)
		}

		cores.add(instance.Properties.CorePID, instance.UID)
	}

	return ours, cores
}

func (s *MemoryScan) ask(ctx context.Context, instance *instancedir.Instance) ([]App, error) {
	client, err := Client(instance, instancedir.CoreAPI, instancedir.ReadOnlyAccount)
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, s.CallTimeout)
	defer cancel()

	return Apps(ctx, client)
}

// claims are processes that instances say are theirs, with the user of the instance.
type claims map[int]int

func (c claims) add(pid, uid int) {
	// Process 1 is the parent of all that has none. What root claims stays root's.
	if before, claimed := c[pid]; pid > 1 && (!claimed || before != 0) {
		c[pid] = uid
	}
}

// include believes root everything, and others what belongs to them.
func (c claims) include(pid int) bool {
	uid, claimed := c[pid]
	if !claimed || uid == 0 {
		return claimed
	}

	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	if err != nil {
		return false
	}

	stat, ok := info.Sys().(*syscall.Stat_t)

	return ok && int64(stat.Uid) == int64(uid)
}

// looked is what tells processes apart, at little cost.
type looked struct {
	// name is that of its program, words its command line.
	name   string
	words  []string
	parent int
}

// maxCommandLine is how much of a command line is looked at.
const maxCommandLine = 4096

// look reads what it may of a process.
func look(pid int) (p looked) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	line := readSome(filepath.Join(dir, "cmdline"))
	if line == "" {
		// A kernel thread, or a process that has gone.
		return p
	}

	p.words = strings.Split(strings.TrimRight(line, "\x00"), "\x00")
	stat := readSome(filepath.Join(dir, "stat"))

	// The name stands in parentheses, and may have some in it.
	if i := strings.LastIndexByte(stat, ')'); i >= 0 {
		if fields := strings.Fields(stat[i+1:]); len(fields) > 1 {
			// Zero means no parent.
			p.parent, _ = strconv.Atoi(fields[1])
		}

		if begin := strings.IndexByte(stat, '('); begin >= 0 && begin < i {
			p.name = stat[begin+1 : i]
		}
	}

	// The name in stat has 15 bytes at most, and a process may change it.
	if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil {
		p.name = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	}

	return p
}

func readSome(path string) string {
	f, err := os.Open(path) //nolint:gosec // G304: in /proc
	if err != nil {
		return ""
	}
	defer f.Close()
	// There is less of a process that ends.
	b, _ := io.ReadAll(io.LimitReader(f, maxCommandLine))

	return string(b)
}

func (p *looked) is(names ...string) bool { return slices.Contains(names, p.name) }

// isPassenger recognises our agents, and those of the original, its loaders and
// its processes' titles.
func (p *looked) isPassenger() bool {
	if len(strings.TrimSpace(strings.Join(p.words, ""))) == 0 {
		return false
	}

	// Empty means that only the usual name is known.
	own, _ := os.Executable()
	// Other commands of ours are tools, which do not serve.
	if (p.name == "passenger" || own != "" && p.name == filepath.Base(own)) && len(p.words) > 1 {
		return slices.Contains([]string{"start", "flying", "core", "ust-router"}, p.words[1])
	}

	words := strings.Fields(strings.Join(p.words, " "))
	if first := words[0]; first == "Passenger" || first == "Rails:" || first == "Rack:" {
		return true
	}

	for _, word := range words {
		switch filepath.Base(word) {
		case "PassengerAgent", "wsgi-loader.py", "rack-loader.rb", "rack-preloader.rb":
			return true
		}
	}

	return false
}
