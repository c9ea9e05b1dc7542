package incident

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/procstat"
)

// How much of a tree is looked at.
const (
	maxProcesses = 32
	maxThreads   = 256
	maxProcFile  = 8 << 10
)

// tree returns what the system says of a process and those that it has started, itself first. What cannot be read is
// left out.
func tree(ctx context.Context, pid int) []SystemProcess {
	var found []SystemProcess

	threads := 0
	for queue := []int{pid}; len(queue) > 0 && len(found) < maxProcesses && ctx.Err() == nil; queue = queue[1:] {
		dir := proc(filepath.Join("/proc", strconv.Itoa(queue[0])))

		p, ok := dir.process(queue[0], max(maxThreads-threads, 1))
		if !ok {
			continue
		}

		threads += len(p.Threads)
		found = append(found, p)

		// Each thread has the children that it has started itself.
		for _, t := range p.Threads {
			for child := range strings.FieldsSeq(dir.read("task", strconv.Itoa(t.TID), "children")) {
				if id, err := strconv.Atoi(child); err == nil {
					queue = append(queue, id)
				}
			}
		}
	}

	return found
}

// proc is the directory of a process or of a thread.
type proc string

// read returns a file of the directory, or nothing.
func (d proc) read(name ...string) string {
	f, err := os.Open(filepath.Join(append([]string{string(d)}, name...)...))
	if err != nil {
		return ""
	}
	defer f.Close()

	b := make([]byte, maxProcFile)
	n, _ := f.Read(b) // some files are only readable for root

	return string(b[:n])
}

func (d proc) process(pid, maxThreads int) (p SystemProcess, ok bool) {
	status := fields(d.read("status"))
	if status == nil {
		return p, false
	}

	p = SystemProcess{
		PID:     pid,
		Command: commandLine(d.read("cmdline")),
		State:   status["State"],
		RSS:     kilobytes(status["VmRSS"]),
		Threads: []Thread{},
	}
	p.Parent, _ = strconv.Atoi(status["PPid"]) // which the kernel has written
	if p.Command == "" {                       // a zombie has none
		p.Command = text(status["Name"])
	}

	if files, err := os.ReadDir(filepath.Join(string(d), "fd")); err == nil {
		p.Files = procstat.Known(int64(len(files)))
	}

	tasks, _ := os.ReadDir(filepath.Join(string(d), "task")) // none, if it has ended
	for _, task := range tasks[:min(len(tasks), maxThreads)] {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			p.Threads = append(p.Threads, proc(filepath.Join(string(d), "task", task.Name())).thread(tid))
		}
	}

	return p, true
}

func (d proc) thread(tid int) Thread {
	status := fields(d.read("status"))
	t := Thread{
		TID:   tid,
		Name:  text(status["Name"]),
		State: status["State"],
		Call:  strings.TrimSpace(d.read("syscall")),
	}
	// It is 0 for a thread that runs, and where the kernel hides it.
	if wchan := strings.TrimSpace(d.read("wchan")); wchan != "0" {
		t.WaitsIn = text(wchan)
	}

	// The registers behind the arguments are of no use without the program.
	if call := strings.Fields(t.Call); len(call) > 7 {
		t.Call = strings.Join(call[:7], " ")
	}

	if stack := strings.TrimSpace(d.read("stack")); stack != "" {
		t.Stack = strings.Split(stack, "\n")
	}

	return t
}

// fields are the lines "Name: value" of a file; nil means that there are none.
func fields(text string) map[string]string {
	if text == "" {
		return nil
	}

	all := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		all[name] = strings.TrimSpace(value)
	}

	return all
}

func kilobytes(value string) procstat.Value[int64] {
	n, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return procstat.Value[int64]{}
	}

	return procstat.Known(n << 10)
}

// maxCommand is the size of a command line that is shown.
const maxCommand = 1 << 10

// commandLine returns a command without what looks like a secret: the value of an argument, or the argument behind its
// name.
func commandLine(nul string) string {
	words := strings.Split(strings.TrimRight(nul, "\x00"), "\x00")
	hide := redact.New(nil)

	named := false
	for i, word := range words {
		name, value, assigned := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case named:
			words[i] = redact.Hidden
		case assigned && redact.IsSecret(name, value):
			words[i] = strings.TrimSuffix(word, value) + redact.Hidden
		default:
			words[i] = hide.Variable("", word)
		}

		named = !named && !assigned && strings.HasPrefix(word, "-") && redact.IsSecret(name, "")
	}

	// A title that the program has set stands here, too.
	line := strings.ToValidUTF8(strings.Join(words, " "), "?")

	return line[:min(len(line), maxCommand)]
}
