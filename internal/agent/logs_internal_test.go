package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

func TestTextFormatIsForPeople(t *testing.T) {
	var b bytes.Buffer

	log := newLogger(&b, newLogLevel(3), textFormat)
	for _, test := range []struct {
		log  func()
		want string
	}{
		{func() { log.Info("hello") }, "INFO hello\n"},
		{func() { log.Info("hello", "key", "a b", "n", 3) }, "INFO hello key=\"a b\" n=3\n"},
		{
			func() { log.WithValues("app", "shop").Error(errors.New("why"), "cannot start") },
			"ERROR cannot start app=shop err=why\n",
		},
		{
			func() { log.Error(nil, "cannot start", "output", "a\n\tb\u009b31m") },
			"ERROR cannot start\n  output:\n  | a\n  |     b\\u009b31m\n",
		},
		{func() { log.Info("forged\n12:00:00 INFO me\x1b[31m") }, "INFO forged\\x0a12:00:00 INFO me\\x1b[31m\n"},
	} {
		b.Reset()
		test.log()
		at, record, _ := strings.Cut(b.String(), " ")
		_, err := time.Parse(time.TimeOnly, at)
		require.NoError(t, err)
		require.Equal(t, test.want, record)
	}
}

func TestOnlyColoursReachTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ttext ü 👩\u200d💻":              "plain\ttext ü 👩\u200d💻",
		"\x1b[31mred\x1b[0m":                  "\x1b[31mred\x1b[0m",
		"\x1b[1;38;5;200mbold":                "\x1b[1;38;5;200mbold\x1b[0m",
		"\x1b[38:2::1:2:3mrgb\x1b[m":          "\x1b[38:2::1:2:3mrgb\x1b[m\x1b[0m",
		"\x1b[2J\x1b[H\x1b]0;title\a":         `\x1b[2J\x1b[H\x1b]0;title\x07`,
		"\x1b[31":                             `\x1b[31`,
		"10%\r20%\b\x7f":                      `10%\x0d20%\x08\x7f`,
		"\xff\u009b31m \u202edlrow\u2066\x9b": `\xff\u009b31m \u202edlrow\u2066\x9b`,
	} {
		require.Equal(t, want, string(appendPrintable(nil, text, true)), "%q", text)
	}

	require.Equal(t, `\x1b[31mred`, string(appendPrintable(nil, "\x1b[31mred", false)))
}

// written are the lines that an application prints, as a format has them.
func written(t *testing.T, format logFormat, app *spawner.App, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	file, err := openLog(path, format)
	require.NoError(t, err)
	level := newLogLevel(3)
	a := newAppOutput(file, newLogger(file, level, format), level, format)

	out := a.open(app)
	for _, line := range lines {
		out.Line(7, "stdout", line)
	}

	out.Close()
	require.Empty(t, a.files)
	require.NoError(t, file.close())
	content, err := os.ReadFile(path)
	require.NoError(t, err)

	return string(content)
}

func TestApplicationLinesInEachFormat(t *testing.T) {
	app := &spawner.App{Root: "/srv/shop/current", GroupName: "/srv/shop/current (production)"}
	require.Equal(t, "shop[7] \x1b[31mred\x1b[0m\nshop[7] {\"a\":1}\n",
		written(t, textFormat, app, "\x1b[31mred\x1b[0m", `{"a":1}`))

	_, record, _ := strings.Cut(written(t, plainFormat, app, "hello you"), " ")
	require.Equal(t, "level=INFO msg=\"hello you\" app=\"/srv/shop/current (production)\" pid=7 stream=stdout\n",
		record)

	objects := strings.Split(strings.TrimSpace(written(t, jsonFormat, app,
		"hello \x1b \xff", ` {"n": 12345678901234567890, "deep": {"a": [1]}} `, `{"broken`, `[1]`, `"text"`)), "\n")
	require.Len(t, objects, 5)

	for i, want := range []map[string]any{
		{"msg": "hello \x1b \ufffd"},
		{"app_line": map[string]any{
			"n":    json.Number("12345678901234567890"),
			"deep": map[string]any{"a": []any{json.Number("1")}},
		}},
		{"msg": `{"broken`},
		{"msg": `[1]`},
		{"msg": `"text"`},
	} {
		var got map[string]any
		d := json.NewDecoder(strings.NewReader(objects[i]))
		d.UseNumber()
		require.NoError(t, d.Decode(&got))
		require.NotEmpty(t, got["time"])
		delete(got, "time")
		want["level"], want["app"], want["pid"], want["stream"] = "INFO", app.GroupName, json.Number("7"), "stdout"
		require.Equal(t, want, got)
	}
}

func TestShortNames(t *testing.T) {
	for want, app := range map[string]spawner.App{
		"shop":       {Root: "/srv/shop", GroupName: "/srv/shop (production)"},
		"blog":       {Root: "/srv/blog/current", GroupName: "/srv/blog/current (staging)"},
		"api":        {Root: "/srv/api"},
		"my group":   {Root: "/srv/x", GroupName: "my group"},
		"/srv/other": {Root: "/srv/x", GroupName: "/srv/other"},
	} {
		require.Equal(t, want, shortName(&app))
	}
}

func TestApplicationHasItsOwnFile(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "app.log")
	app := &spawner.App{Root: "/srv/shop", LogFile: own}
	require.Empty(t, written(t, textFormat, app, "as it \x1b[2J came", "{}"))
	content, err := os.ReadFile(own)
	require.NoError(t, err)
	require.Equal(t, "as it \x1b[2J came\n{}\n", string(content))

	// One that cannot be opened loses nothing.
	app.LogFile = filepath.Join(dir, "missing", "app.log")
	log := written(t, textFormat, app, "hello")
	require.Contains(t, log, "shop[7] hello\n")
	require.Contains(t, log, "cannot open the log file of an application")
}

func TestReopenIsForTheFilesOfApplications(t *testing.T) {
	dir := t.TempDir()
	a := newAppOutput(nil, logr.Discard(), newLogLevel(3), plainFormat)
	path := filepath.Join(dir, "app.log")
	cfg := DefaultConfig()
	cfg.AppLogFile = path
	release, err := a.hold(&cfg)
	require.NoError(t, err)
	out := a.open(&spawner.App{LogFile: path})
	require.NoError(t, os.Rename(path, path+".1"))
	require.NoError(t, a.reopen())
	out.Line(1, "stdout", "after")
	out.Close()
	require.Len(t, a.files, 1, "the server has it still")
	require.NoError(t, release())
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "after\n", string(content))

	cfg.AppLogFile = filepath.Join(dir, "missing", "log")
	_, err = a.hold(&cfg)
	require.ErrorContains(t, err, "app_log_file: cannot open the log file")
	require.Empty(t, a.files)
}

func TestLogSettingsThatAreWrong(t *testing.T) {
	c := DefaultConfig()
	c.LogFormat, c.MaxOutputRate, c.AppLogFile = "xml", -1, "log"
	require.EqualError(t, errors.Join(c.checkOptions()...),
		"log_format is \"xml\": it must be text, plain or json\n"+
			"app_log_file is \"log\": it must be an absolute path\n"+
			"max_output_rate is -1: it must be 0 (no limit) or more")
}

func TestLostLinesAreToldInTheFormat(t *testing.T) {
	require.Equal(t, "passenger: 3 lines of this log could not be written\n", string(plainFormat.lostLines(3)))
	require.True(t, json.Valid(jsonFormat.lostLines(3)))
}

func TestRequestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := openLog(path, textFormat)
	require.NoError(t, err)
	l := &requestLog{file: file}
	var next []any
	log := l.with(logr.New(&keeper{&next}))
	log.Info("Request", "method", "GET", "target", "/a?b=\x1b[2J\u202e", "status", 200, "bytesOut", int64(1234),
		"totalMs", 12.3)
	log.Info("Request", "method", "POST", "target", "/", "status", 0, "bytesOut", int64(0), "totalMs", 0.25)
	require.NoError(t, l.close())
	require.Len(t, next, 20, "the access log has them as well")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "GET /a?b=\\x1b[2J\\u202e 200 1234 B 12 ms\nPOST / - 0 B 0.2 ms\n", string(content))
}

// keeper keeps values.
type keeper struct{ values *[]any }

func (*keeper) Init(logr.RuntimeInfo)                 {}
func (*keeper) Enabled(int) bool                      { return true }
func (k *keeper) Info(_ int, _ string, values ...any) { *k.values = append(*k.values, values...) }
func (*keeper) Error(error, string, ...any)           {}
func (k *keeper) WithValues(...any) logr.LogSink      { return k }
func (k *keeper) WithName(string) logr.LogSink        { return k }

// A program that reads the log refuses lines that are not UTF-8, as RFC 8259 has it.
func TestJSONLinesAreUTF8(t *testing.T) {
	for text, want := range map[string]string{
		"caf\xe9":                   `"msg":"caf\ufffd"`,
		"{\"name\":\"caf\xe9\"}":    `"app_line":{"name":"caf` + "\ufffd" + `"}`,
		"{\"\xff\":[\"\xe2\x82\"]}": `"app_line":{"` + "\ufffd" + `":["` + "\ufffd" + `"]}`,
	} {
		line := jsonLine("shop", "", 7, "stdout", text)
		require.True(t, utf8.Valid(line), "%q", line)
		require.True(t, json.Valid(line), "%q", line)
		require.Contains(t, string(line), want)
	}
}

func TestJSONRecordOfACompanionNamesIt(t *testing.T) {
	line := string(jsonLine("shop", "worker", 7, "stdout", "at work"))
	require.Contains(t, line, `"msg":"at work","app":"shop","companion":"worker","pid":7,"stream":"stdout"`)
	require.NotContains(t, string(jsonLine("shop", "", 7, "stdout", "at work")), "companion")
}

func TestFilesThatAreOpenedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(*Config)
		want bool
	}{
		"none":                      {func(*Config) {}, false},
		"standard output":           {func(c *Config) { c.AccessLog = standardOutput }, false},
		"log":                       {func(c *Config) { c.LogFile = "/log" }, true},
		"access log":                {func(c *Config) { c.AccessLog = "/log" }, true},
		"log of transactions":       {func(c *Config) { c.TransactionLog = "/log" }, true},
		"log of an application":     {func(c *Config) { c.AppLogFile = "/log" }, true},
		"log of one of several":     {func(c *Config) { c.Apps = []HostedApp{{Config: &Config{Logs: Logs{AppLogFile: "/log"}}}} }, true},
		"those of Flying's tenants": {func(c *Config) { c.Flying = &Flying{} }, true},
	} {
		c := Config{}
		test.set(&c)
		require.Equal(t, test.want, c.hasLogFiles(), name)
	}
}
