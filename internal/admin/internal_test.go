package admin

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIsPassenger(t *testing.T) {
	for _, test := range []struct {
		name string
		line string
		want bool
	}{
		{"passenger", "/usr/bin/passenger start /srv/shop", true},
		{"passenger", "/usr/bin/passenger core", true},
		{"passenger", "/usr/bin/passenger ust-router", true},
		{"passenger", "passenger flying --socket-file x", true},
		{"passenger", "passenger status", false},
		{"passenger", "passenger", false},
		{"ruby", "Passenger RubyApp: /srv/shop (production)", true},
		{"PassengerAgent", "/usr/lib/passenger/PassengerAgent core", true},
		{"python3", "/usr/bin/python3 /usr/share/passenger/helper-scripts/wsgi-loader.py", true},
		{"ruby3.1", "ruby rack-loader.rb", true},
		{"vim", "vim Passengerfile.json", false},
		{"cat", "cat", false},
		{"", "", false},
	} {
		p := looked{name: test.name, words: strings.Split(test.line, " ")}
		require.Equal(t, test.want, p.isPassenger(), test.line)
	}
}

func TestProcessName(t *testing.T) {
	require.Equal(t, "Passenger AppPreloader: /srv/shop", processName("ruby: Passenger AppPreloader: /srv/shop (ruby)"))
	require.Equal(t, "node app.js", processName("node app.js"))
}

func TestParseApps(t *testing.T) {
	apps, err := parseApps([]byte(`<?xml version="1.0" encoding="iso-8859-1" ?>
<info version="3"><supergroups>
<supergroup><name>zoö</name><group default="true"><name>zoö</name><app_root>/srv/zoö</app_root>
<processes><process><pid>12</pid></process><process><pid>13</pid></process></processes></group></supergroup>
<supergroup><name>a</name><group default="true"><name>a</name><app_root>/srv/a</app_root>
<processes/></group></supergroup>
</supergroups></info>`))
	require.NoError(t, err)
	require.Equal(t, []App{{Name: "a", Root: "/srv/a"}, {Name: "zoö", Root: "/srv/zoö", PIDs: []int{12, 13}}}, apps)
	require.Equal(t, []string{"a", "zoö"}, Names(append(apps, apps...)))
	require.Equal(t, apps[:1], Named(apps, "a"))
	_, err = parseApps([]byte("<info"))
	require.ErrorContains(t, err, "something else than a pool")
}

func FuzzParseApps(f *testing.F) {
	f.Add([]byte(`<info><supergroups><supergroup><group><name>a</name></group></supergroup></supergroups></info>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if apps, err := parseApps(body); err == nil {
			require.LessOrEqual(t, len(apps), len(body))
		}
	})
}

func TestColouredText(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[44m\x1b[1mbold\x1b[0m\n\ttext": "\x1b[44m\x1b[1mbold\x1b[0m\n\ttext",
		"\x1b[2Jcleared\x1b]0;title\a":       "?[2Jcleared?]0;title?",
		"\x1b[1;1Hhome\r":                    "?[1;1Hhome?",
		"\u202eright to left":                "?right to left",
		"\x1b[8mhidden\nthe next":            "\x1b[8mhidden\x1b[0m\nthe next",
		"\x1b[31mred":                        "\x1b[31mred\x1b[0m",
		"\x1b[0m\x1b[7m\n\n":                 "\x1b[0m\x1b[7m\x1b[0m\n\n",
		"":                                   "",
	} {
		require.Equal(t, want, ColouredText(text))
	}
}

// FuzzColouredText: nothing but colours commands the terminal.
func FuzzColouredText(f *testing.F) {
	f.Add("\x1b[44m\x1b[2J\x1b\x1b[0m")
	f.Fuzz(func(t *testing.T, s string) {
		require.NotContains(t, colour().ReplaceAllString(ColouredText(s), ""), "\x1b")
	})
}

func TestUsage(t *testing.T) {
	before := cpuTimes{user: 1, system: 1, idle: 8}
	now := cpuTimes{
		user:   2,
		nice:   1,
		system: 2,
		iowait: 1,
		idle:   13,
		steal:  1,
	}
	require.Equal(t, CPUUsage{
		Usage:  40,
		User:   10,
		Nice:   10,
		System: 10,
		IOWait: 10,
		Idle:   50,
		Steal:  10,
	}, now.usage(before))
	require.Equal(t, CPUUsage{Idle: 100}, now.usage(now), "no time has passed")
	require.Equal(t, CPUUsage{Idle: 100}, before.usage(now), "counters that shrink are no use")
}

func TestUptime(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 59.9: "59s", 60: "1m 0s", 3600: "1h 0m 0s",
		90061: "1d 1h 1m 1s",
	} {
		require.Equal(t, want, uptime(seconds))
	}
}

func TestTail(t *testing.T) {
	var kept tail
	for range 10 {
		n, err := kept.Write([]byte(strings.Repeat("x", 300) + "\x1b\n"))
		require.NoError(t, err)
		require.Equal(t, 302, n)
	}

	require.LessOrEqual(t, len(kept.String()), maxTail)
	require.True(t, strings.HasSuffix(kept.String(), "x?"))
}
