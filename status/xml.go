package status

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/procstat"
	"github.com/gopassenger/passenger/spawner"
)

// XMLOptions select what WriteXML shows. The zero value shows no secrets.
type XMLOptions struct {
	// Secrets shows the applications that wait for capacity, API keys, the sockets of processes,
	// and their passwords.
	Secrets bool
}

// WriteXML writes the snapshot in version 3 of the original's form. Values that the pool does not
// have are left out, as are options that are not set. Times are microseconds since 1970, sizes of
// memory kilobytes.
func WriteXML(w io.Writer, s passenger.Snapshot, o XMLOptions) error {
	x := &xmlWriter{secrets: o.Secrets, now: s.At, names: map[string]string{}}
	x.b.WriteString("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n")
	x.in(`info version="3"`, func() {
		x.put("passenger_version", s.Version)
		x.put("group_count", len(s.Groups))
		x.put("process_count", processCount(&s))
		x.put("max", s.MaxPoolSize)
		x.put("capacity_used", s.CapacityUsed)
		x.put("get_wait_list_size", len(s.WaitingForCapacity))
		if x.secrets {
			x.in("get_wait_list", func() {
				for _, name := range s.WaitingForCapacity {
					x.in("item", func() { x.put("app_group_name", name) })
				}
			})
		}

		x.in("supergroups", func() {
			for i := range s.Groups {
				x.supergroup(&s.Groups[i])
			}
		})
	})
	_, err := io.WriteString(w, x.b.String())

	return err
}

type xmlWriter struct {
	b       strings.Builder
	depth   int
	secrets bool
	now     time.Time
	// names caches the names of users and groups, which are slow to look up.
	names map[string]string
}

// supergroup writes an element that once held several groups, and now always one.
func (x *xmlWriter) supergroup(g *passenger.GroupSnapshot) {
	x.in("supergroup", func() {
		x.put("name", g.Name)
		x.put("state", "READY")
		// A group is made at once, so that nothing waits for its supergroup.
		x.put("get_wait_list_size", 0)
		x.put("capacity_used", g.CapacityUsed)
		x.in(`group default="true"`, func() { x.group(g) })
	})
}

func (x *xmlWriter) group(g *passenger.GroupSnapshot) {
	x.put("name", g.Name)
	x.put("component_name", g.Name)
	x.put("app_root", g.AppRoot)
	x.put("app_type", g.AppType)
	x.put("environment", cmp.Or(g.Environment, spawner.DefaultEnvironment))
	x.set("uuid", g.UUID)

	takesPlace := []passenger.ProcessState{
		passenger.ProcessEnabled, passenger.ProcessDisabling, passenger.ProcessDisabled,
	}
	for _, state := range takesPlace {
		x.put(state+"_process_count", count(g, state))
	}

	x.put("capacity_used", g.CapacityUsed)
	x.put("get_wait_list_size", g.QueueLength)
	x.put("disable_wait_list_size", g.DisableQueueLength)
	x.put("processes_being_spawned", g.Spawning)
	if g.Spawning > 0 {
		x.line("<spawning/>")
	}

	if g.Restarting {
		x.line("<restarting/>")
	}

	if x.secrets {
		x.set("api_key", g.APIKey)
	}

	if g.Detached {
		x.put("life_status", "SHUTTING_DOWN")
	} else {
		x.put("life_status", "ALIVE")
	}

	x.owner(g)
	x.in("options", func() { x.options(g) })
	x.in("processes", func() {
		for i := range g.Processes {
			x.in("process", func() { x.process(g, &g.Processes[i]) })
		}
	})
}

// owner writes the user and group the processes run as, if known. An ID without a name stands for
// itself.
func (x *xmlWriter) owner(g *passenger.GroupSnapshot) {
	put := func(what, whatID string, id int, name func(id string) string) {
		if id < 0 {
			return
		}

		number := strconv.Itoa(id)
		key := whatID + number
		if _, known := x.names[key]; !known {
			x.names[key] = cmp.Or(name(number), number)
		}

		x.put(what, x.names[key])
		x.put(whatID, number)
	}
	put("user", "uid", g.UID, func(id string) string {
		if u, err := user.LookupId(id); err == nil {
			return u.Username
		}

		return ""
	})
	put("group", "gid", g.GID, func(id string) string {
		if gr, err := user.LookupGroupId(id); err == nil {
			return gr.Name
		}

		return ""
	})
}

func (x *xmlWriter) options(g *passenger.GroupSnapshot) {
	o := &g.Options
	app := &o.App
	// The original writes an absolute path.
	startupFile := app.StartupFile
	if startupFile != "" && !filepath.IsAbs(startupFile) {
		startupFile = filepath.Join(g.AppRoot, startupFile)
	}

	x.set("app_root", g.AppRoot)
	x.set("app_group_name", g.Name)
	x.set("app_type", g.AppType)
	x.set("start_command", strings.Join(app.StartCommand, "\t"))
	x.set("startup_file", startupFile)
	x.set("process_title", spawner.ProcessTitle(g.AppType))
	x.put("log_level", app.LogLevel)
	x.put("start_timeout", cmp.Or(app.StartTimeout, spawner.DefaultStartTimeout).Milliseconds())
	x.set("environment", cmp.Or(g.Environment, spawner.DefaultEnvironment))
	x.set("base_uri", cmp.Or(app.BaseURI, "/"))
	x.set("spawn_method", cmp.Or(app.SpawnMethod, spawner.DefaultSpawnMethod(g.AppType)))
	x.set("user", app.User)
	x.set("group", app.Group)
	x.set("restart_dir", o.RestartDir)
	x.put("integration_mode", "standalone")
	x.set("ruby", cmp.Or(app.Ruby, spawner.DefaultRuby))
	x.set("python", cmp.Or(app.Python, spawner.DefaultPython))
	x.set("nodejs", cmp.Or(app.NodeJS, spawner.DefaultNodeJS))
	x.set("meteor_app_settings", app.MeteorSettings)
	x.put("debugger", false)
	x.put("analytics", false)
	x.put("min_processes", g.MinProcesses)
	x.put("max_processes", g.MaxProcesses)
	if idle := cmp.Or(o.MaxPreloaderIdleTime, passenger.DefaultMaxPreloaderIdleTime); idle >= 0 {
		x.put("max_preloader_idle_time", int64(idle.Seconds()))
	} else {
		// For never, as the original has it.
		x.put("max_preloader_idle_time", 0)
	}

	x.put("max_out_of_band_work_instances", max(o.MaxOutOfBandWorkInstances, 1))
}

func (x *xmlWriter) process(g *passenger.GroupSnapshot, p *passenger.ProcessSnapshot) {
	x.put("pid", p.PID)
	x.put("sticky_session_id", p.StickyID)
	x.put("gupid", p.GUPID)
	x.put("concurrency", p.Concurrency)
	x.put("sessions", p.Sessions)
	x.put("busyness", p.Busyness)
	x.put("processed", p.Processed)
	x.put("spawner_creation_time", g.ReleaseMade.UnixMicro())
	x.put("spawn_start_time", p.SpawnStarted.UnixMicro())
	x.put("spawn_end_time", p.Spawned.UnixMicro())
	x.put("last_used", p.LastUsed.UnixMicro())
	x.put("last_used_desc", duration(x.now.Sub(p.LastUsed))+" ago")
	x.put("uptime", duration(x.now.Sub(p.Spawned)))

	switch {
	// One that was asked to end may have done so.
	case p.Exited:
		x.put("life_status", "DEAD")
	case p.Stopping:
		x.put("life_status", "SHUTDOWN_TRIGGERED")
	default:
		x.put("life_status", "ALIVE")
	}

	x.put("enabled", strings.ToUpper(p.State))
	x.metrics(&p.Metrics)
	if !x.secrets {
		return
	}

	if p.Password != "" {
		x.put("connect_password", p.Password)
	}

	x.in("sockets", func() {
		for i := range p.Sockets {
			s := &p.Sockets[i]
			x.in("socket", func() {
				x.put("name", s.Name)
				x.put("address", s.Address)
				x.put("protocol", s.Protocol)
				x.put("concurrency", s.Concurrency)
				x.put("sessions", s.Sessions)
			})
		}
	})
}

func (x *xmlWriter) metrics(m *passenger.ProcessMetrics) {
	// Before the first sample, the element must not claim that there are metrics.
	if *m == (passenger.ProcessMetrics{PID: m.PID}) {
		return
	}

	x.put("has_metrics", true)
	if cpu, known := m.CPU.Get(); known {
		x.put("cpu", math.Round(cpu))
	}

	kilobytes := func(name string, v procstat.Value[int64]) {
		if n, known := v.Get(); known {
			x.put(name, n/1024)
		}
	}
	kilobytes("rss", m.RSS)
	kilobytes("pss", m.PSS)
	kilobytes("private_dirty", m.PrivateDirty)
	kilobytes("swap", m.Swap)
	kilobytes("real_memory", m.RealMemory())
	kilobytes("vmsize", m.VMSize)
	if id, known := m.PGID.Get(); known {
		x.put("process_group_id", id)
	}

	if command, known := m.Command.Get(); known {
		x.put("command", command)
	}
}

// in writes an element that contains elements. tag is its name with its attributes.
func (x *xmlWriter) in(tag string, content func()) {
	name, _, _ := strings.Cut(tag, " ")
	x.line("<" + tag + ">")
	x.depth++
	content()
	x.depth--
	x.line("</" + name + ">")
}

// put writes an element that contains text.
func (x *xmlWriter) put(name string, value any) {
	x.line("<" + name + ">" + escapeXML(fmt.Sprint(value)) + "</" + name + ">")
}

// set writes an element unless its value is empty.
func (x *xmlWriter) set(name, value string) {
	if value != "" {
		x.put(name, value)
	}
}

func (x *xmlWriter) line(s string) {
	x.b.WriteString(strings.Repeat("   ", x.depth) + s + "\n")
}

// escapeXML writes all but a few harmless characters as references, as the original does, and drops
// what XML cannot hold.
func escapeXML(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'A' && r <= 'z', r >= '0' && r <= '9', strings.ContainsRune("/ _.:+-", r):
			b.WriteRune(r)
		case inXML(r):
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}

	return b.String()
}

// inXML reports whether a document of XML 1.0 can hold the character, if only as a reference.
func inXML(r rune) bool {
	return r >= ' ' && r != 0xfffe && r != 0xffff || r == '\t' || r == '\n' || r == '\r'
}
