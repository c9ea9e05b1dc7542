package status_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/status"
)

var update = flag.Bool("update", false, "write the files testdata/*.golden again")

func requireGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}

	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func text(t *testing.T, s *passenger.Snapshot, o status.TextOptions) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, status.WriteText(&b, *s, o))

	return b.String()
}

func xmlText(t require.TestingT, s *passenger.Snapshot, o status.XMLOptions) string {
	var b strings.Builder
	require.NoError(t, status.WriteXML(&b, *s, o))
	return b.String()
}

func TestSnapshotAsText(t *testing.T) {
	for name, o := range map[string]status.TextOptions{
		"snapshot.txt":         {},
		"snapshot-verbose.txt": {Verbose: true, Colorize: true},
	} {
		t.Run(name, func(t *testing.T) { requireGolden(t, name, text(t, busySnapshot(), o)) })
	}

	require.NotContains(t, text(t, busySnapshot(), status.TextOptions{}), password)
	require.NotContains(t, text(t, busySnapshot(), status.TextOptions{Verbose: true}), apiKey)
}

func TestTextOfAnEmptyPool(t *testing.T) {
	require.Equal(t, `----------- General information -----------
Max pool size : 6
App groups    : 0
Processes     : 0
Requests in top-level queue : 0

----------- Application groups -----------
`, text(t, &passenger.Snapshot{MaxPoolSize: 6}, status.TextOptions{Verbose: true}))
}

func TestDurationsInText(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]string{
		-time.Minute:                   "0s",
		999 * time.Millisecond:         "0s",
		59 * time.Second:               "59s",
		time.Minute:                    "1m 0s",
		time.Hour:                      "1h 0m 0s",
		24*time.Hour - time.Second:     "23h 59m 59s",
		24 * time.Hour:                 "1d 0h 0m 0s",
		400*24*time.Hour + time.Second: "400d 0h 0m 1s",
	} {
		s := &passenger.Snapshot{At: now, Groups: []passenger.GroupSnapshot{{
			Processes: []passenger.ProcessSnapshot{{State: "enabled", Spawned: now.Add(-d), LastUsed: now}},
		}}}
		require.Contains(t, text(t, s, status.TextOptions{}), "Uptime: "+want+"\n", d)
	}
}

func TestNoForgedLines(t *testing.T) {
	evil := "x\r\n  * PID: 1\u2028\u0085\v\x1b[31m\x00\u202e\xff"
	s := &passenger.Snapshot{
		WaitingForCapacity: []string{evil},
		Groups: []passenger.GroupSnapshot{
			{
				Name: evil, AppRoot: evil, DeploymentError: &passenger.DeploymentError{Err: errors.New(evil)},
				Processes: []passenger.ProcessSnapshot{{HTTPAddress: evil, Password: evil}},
			},
			{Name: "b", LastSpawnError: &passenger.SpawnFailure{Summary: evil, ID: evil}},
			{Name: "c", DeploymentError: &passenger.DeploymentError{}},
		},
	}
	got := text(t, s, status.TextOptions{Verbose: true})
	require.True(t, utf8.ValidString(got))
	require.NotRegexp(t, `[^\n\PC]|[\x{2028}\x{2029}]`, got)
	lines := strings.Split(got, "\n")
	require.Len(t, lines, 1+4+1+1+1+ // general information
		(1+1+1+1+2+2+1)+(1+1+1+1+1)+(1+1+1+1+1)+1, got)
}

// document is what a tool reads.
type document struct {
	XMLName   xml.Name `xml:"info"`
	Form      string   `xml:"version,attr"`
	Processes int      `xml:"process_count"`
	Waiting   []string `xml:"get_wait_list>item>app_group_name"`
	Groups    []struct {
		Default   string  `xml:"default,attr"`
		Name      string  `xml:"name"`
		Disabled  int     `xml:"disabled_process_count"`
		Spawning  *string `xml:"spawning"`
		Restart   *string `xml:"restarting"`
		Life      string  `xml:"life_status"`
		Command   string  `xml:"options>start_command"`
		Startup   string  `xml:"options>startup_file"`
		Timeout   int     `xml:"options>start_timeout"`
		Processes []struct {
			PID        int    `xml:"pid"`
			Life       string `xml:"life_status"`
			Enabled    string `xml:"enabled"`
			Spawned    int64  `xml:"spawn_end_time"`
			LastUsed   string `xml:"last_used_desc"`
			HasMetrics bool   `xml:"has_metrics"`
			CPU        *int   `xml:"cpu"`
			RSS        int    `xml:"rss"`
			RealMemory int    `xml:"real_memory"`
			Command    string `xml:"command"`
			Password   string `xml:"connect_password"`
			Sockets    []struct {
				Address string `xml:"address"`
			} `xml:"sockets>socket"`
		} `xml:"processes>process"`
	} `xml:"supergroups>supergroup>group"`
}

func parse(t require.TestingT, text string) (d document) {
	require.NoError(t, xml.Unmarshal([]byte(text), &d), text)
	return d
}

func TestSnapshotAsXML(t *testing.T) {
	for name, o := range map[string]status.XMLOptions{
		"snapshot.xml":         {},
		"snapshot-secrets.xml": {Secrets: true},
	} {
		t.Run(name, func(t *testing.T) { requireGolden(t, name, xmlText(t, busySnapshot(), o)) })
	}
}

func TestValuesInXML(t *testing.T) {
	d := parse(t, xmlText(t, busySnapshot(), status.XMLOptions{Secrets: true}))
	require.Equal(t, "3", d.Form)
	require.Equal(t, 3, d.Processes, "those that are detached do not count")
	require.Equal(t, []string{"Zoë & sons", "other"}, d.Waiting)
	require.Len(t, d.Groups, 3)
	shop, blog := d.Groups[0], d.Groups[1]
	require.Equal(t, "true", shop.Default)
	require.Equal(t, "/srv/shop (production)", shop.Name)
	require.Equal(t, 1, shop.Disabled)
	require.NotNil(t, shop.Spawning)
	require.Nil(t, shop.Restart)
	require.NotNil(t, blog.Restart)
	require.Equal(t, "/srv/shop/config.ru", shop.Startup)
	require.Equal(t, 5000, shop.Timeout)
	require.Equal(t, "./serve\ta b", blog.Command)
	require.Equal(t, 90_000, blog.Timeout)
	require.Equal(t, []string{"ALIVE", "ALIVE", "SHUTTING_DOWN"}, []string{shop.Life, blog.Life, d.Groups[2].Life})
	require.Len(t, shop.Processes, 5)
	first, second := shop.Processes[0], shop.Processes[1]
	require.Equal(t, 4021, first.PID)
	require.Equal(t, busySnapshot().Groups[0].Processes[0].Spawned.UnixMicro(), first.Spawned)
	require.Equal(t, "7s ago", first.LastUsed)
	require.Equal(t, password, first.Password)
	require.Equal(t, "tcp://127.0.0.1:38110", first.Sockets[1].Address)
	require.True(t, first.HasMetrics)
	require.Equal(t, 3, *first.CPU)
	require.Equal(t, 41<<10+1<<9, first.RealMemory)
	require.Equal(t, "ruby <shop>", first.Command)
	require.True(t, second.HasMetrics)
	require.Nil(t, second.CPU, "it is unknown")
	require.Equal(t, 30<<10, second.RSS)
	require.False(t, shop.Processes[2].HasMetrics)

	states := make([]string, 0, 5)
	for _, p := range shop.Processes {
		states = append(states, p.Enabled+" "+p.Life)
	}

	require.Equal(t, []string{
		"ENABLED ALIVE", "DISABLING ALIVE", "DISABLED ALIVE", "DETACHED SHUTDOWN_TRIGGERED", "DETACHED DEAD",
	}, states)
}

func TestSecretsOnlyWhenAsked(t *testing.T) {
	got := xmlText(t, busySnapshot(), status.XMLOptions{})
	for _, secret := range []string{
		password, "connect_password", apiKey, "api_key", "<sockets>", "get_wait_list>", "hunter2", "DATABASE_URL",
	} {
		require.NotContains(t, got, secret)
	}

	got = xmlText(t, busySnapshot(), status.XMLOptions{Secrets: true})
	require.Contains(t, got, password)
	require.Contains(t, got, "<api_key>"+apiKey+"</api_key>")
	require.NotContains(t, got, "hunter2")
}

// escaped is how a name looks in the XML.
func escaped(t require.TestingT, name string) (raw, read string) {
	text := xmlText(t, &passenger.Snapshot{Groups: []passenger.GroupSnapshot{{Name: name}}}, status.XMLOptions{})
	_, rest, _ := strings.Cut(text, "<component_name>")
	raw, _, _ = strings.Cut(rest, "</component_name>")

	return raw, parse(t, text).Groups[0].Name
}

func TestXMLEscape(t *testing.T) {
	for name, want := range map[string]string{
		"":                      "",
		"AZaz09/ _.:+-":         "AZaz09/ _.:+-",
		"[\\]^`":                "[\\]^`",
		"<&>\"'":                "&#60;&#38;&#62;&#34;&#39;",
		"@{|}~()":               "&#64;&#123;&#124;&#125;&#126;&#40;&#41;",
		"\t\r\n\x7f\u0085":      "&#9;&#13;&#10;&#127;&#133;",
		"ë€😀":                   "&#235;&#8364;&#128512;",
		"a\x00\x01\x1f\x0bb":    "ab",
		"a\ufffe\uffffb\ufffdc": "ab&#65533;c",
		"a\xffb":                "a&#65533;b",
	} {
		raw, _ := escaped(t, name)
		require.Equal(t, want, raw, "%q", name)
	}
}

func FuzzXMLEscape(f *testing.F) {
	for _, name := range []string{"", "/srv/a b", "<![CDATA[]]>&amp;", "\x00\x1b\r\n", "\xff\xfe", "\ufffe\U0010ffff"} {
		f.Add(name)
	}

	f.Fuzz(func(t *testing.T, name string) {
		raw, read := escaped(t, name)
		require.Regexp(t, `^([A-z0-9/ .:+-]|&#[0-9]+;)*$`, raw)
		require.Equal(t, strings.Map(func(r rune) rune {
			if r < ' ' && !strings.ContainsRune("\t\r\n", r) || r == 0xfffe || r == 0xffff {
				return -1
			}

			return r
		}, name), read)
	})
}

func TestSnapshotAsJSON(t *testing.T) {
	s := *busySnapshot()
	got, err := json.MarshalIndent(s, "", "  ")
	require.NoError(t, err)
	requireGolden(t, "snapshot.json", string(got)+"\n")

	for _, secret := range []string{password, "assword", apiKey, "hunter2", "DATABASE_URL"} {
		require.NotContains(t, string(got), secret)
	}

	var read struct {
		Schema int
		Groups []struct {
			DeploymentError *struct {
				Message string
				At      time.Time
			}
			LastSpawnError *struct {
				Summary, ID string
				At          time.Time
			}
		}
	}
	require.NoError(t, json.Unmarshal(got, &read))
	require.Equal(t, passenger.SnapshotSchema, read.Schema)
	require.Nil(t, read.Groups[0].DeploymentError)
	require.Equal(t, "cannot start blog:\n  * PID: 1", read.Groups[1].DeploymentError.Message)
	require.Equal(t, s.At.Add(-time.Minute), read.Groups[1].DeploymentError.At)
	require.Equal(t, "0badcafe", read.Groups[2].LastSpawnError.ID)
}

func TestSnapshotAsOptionsInJSON(t *testing.T) {
	s := busySnapshot()
	var b bytes.Buffer
	require.NoError(t, status.WriteJSON(&b, *s))
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, b.Bytes(), "", "  "))
	requireGolden(t, "snapshot-options.json", indented.String()+"\n")

	for _, secret := range []string{password, "assword", apiKey, "hunter2", "DATABASE_URL"} {
		require.NotContains(t, b.String(), secret)
	}

	// A name stands for the group that has it now, whichever is listed first.
	gone, now := s.Groups[0], s.Groups[0]

	gone.Detached, gone.AppRoot = true, "/gone"
	for _, groups := range [][]passenger.GroupSnapshot{{gone, now}, {now, gone}} {
		b.Reset()
		require.NoError(t, status.WriteJSON(&b, passenger.Snapshot{Groups: groups}))
		require.NotContains(t, b.String(), "/gone")
		require.Contains(t, b.String(), now.AppRoot)
	}
}

// failing takes nothing.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestWriteErrorsAreReturned(t *testing.T) {
	require.ErrorIs(t, status.WriteText(failing{}, *busySnapshot(), status.TextOptions{}), os.ErrClosed)
	require.ErrorIs(t, status.WriteXML(failing{}, *busySnapshot(), status.XMLOptions{}), os.ErrClosed)
	require.ErrorIs(t, status.WriteJSON(failing{}, *busySnapshot()), os.ErrClosed)
}

func TestCompanions(t *testing.T) {
	s := busySnapshot()
	companions := []status.Companion{
		{App: "blog", Name: "worker", Number: 1, State: "running", PID: 77, Since: s.At.Add(-time.Hour)},
		{
			App: "blog", Name: "worker", Number: 2, State: "backing off", Since: s.At, Restarts: 3, RestartsOfName: 4,
			LastExit: "exit status 1\x1b[2J",
		},
		{App: "wiki", Name: "clock", Number: 1, State: "stopping", PID: 78, Since: s.At, Retiring: true},
	}
	var b strings.Builder
	require.NoError(t, status.WriteCompanions(&b, companions, s.At, status.TextOptions{}))
	require.Equal(t, `----------- Companions -----------
blog:
  * worker.1               PID: 77        Restarts: 0       running for 1h 0m 0s
  * worker.2               PID: -         Restarts: 3       backing off for 0s
    Last end: exit status 1?[2J
wiki:
  * clock.1                PID: 78        Restarts: 0       stopping (of an earlier release) for 0s

`, b.String())

	b.Reset()
	require.NoError(t, status.WriteCompanions(&b, nil, s.At, status.TextOptions{}))
	require.Empty(t, b.String())

	require.NoError(t, status.WriteJSON(&b, *s, companions...))
	var apps map[string]map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(b.String()), &apps))
	var got []status.Companion
	require.NoError(t, json.Unmarshal(apps["blog"]["companions"], &got))
	require.Equal(t, companions[:2], got)
	require.NotContains(t, apps["/srv/shop (production)"], "companions")
}
