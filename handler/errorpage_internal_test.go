package handler

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/spawner"
)

func TestCleanText(t *testing.T) {
	for dirty, clean := range map[string]string{
		"":                        "",
		"plain\ttext\nné 世界 👩‍💻":  "plain\ttext\nné 世界 👩‍💻",
		"\x1b[1;31mred\x1b[0m":    "red",
		"\x1b[38:2::1:2:3mrgb":    "rgb",
		"\x1b[2K\x1b[1Gnpm":       "npm",
		"\x1b(Bcharset":           "charset",
		"\x1b]0;title\x07text":    "text",
		"\x1b]8;;http://x\x1b\\l": "l",
		"\x1b]0;no end\nline":     "\\x1b]0;no end\nline",
		"\x1b":                    `\x1b`,
		"\x1b[":                   `\x1b[`,
		"\x1b\x1b[31mx":           `\x1bx`,
		"\x1bc":                   `\x1bc`,
		"one\r\ntwo":              "one\ntwo",
		"10%\r20%":                `10%\x0d20%`,
		"\x00\x07\x7f\u0085":      `\x00\x07\x7f\x85`,
		"\xff\xfea\xc3":           "\ufffd\ufffda\ufffd",
		"\u202egpj.exe":           `\u{202e}gpj.exe`,
		"\ufeff\u2028\U000e0041":  `\u{feff}\u{2028}\u{e0041}`,
		"\uffff\ufdd0":            `\u{ffff}\u{fdd0}`,
		"بسم می\u200cخواهم":       "بسم می\u200cخواهم",
	} {
		require.Equal(t, clean, cleanText(dirty), "%q", dirty)
	}
}

func FuzzCleanText(f *testing.F) {
	for _, seed := range []string{
		"", "text", "\x1b[31mred\x1b[0m", "\x1b]8;;x\x07", "\x1b\x1b[m[m", "\r\n\r", "\xff\xc3\x28", "\u202e\u2066", "\x00", "\x1b]" + strings.Repeat("x", 5000) + "\a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dirty string) {
		clean := cleanText(dirty)
		require.True(t, utf8.ValidString(clean))
		for _, r := range clean {
			ok := r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d' ||
				!unicode.In(r, unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point)
			require.True(t, ok, "%q in %q", r, clean)
		}
		require.Equal(t, clean, cleanText(clean))
		if !strings.ContainsFunc(dirty, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			require.Equal(t, dirty, clean)
		}
	})
}

func TestSecretsOfTheEnvironment(t *testing.T) {
	const secret = "correct-horse"
	for variable, shown := range map[string]string{
		"SECRET_KEY_BASE=" + secret:                          hidden,
		"api_key=" + secret:                                  hidden,
		"AWS_SECRET_ACCESS_KEY=" + secret:                    hidden,
		"GITHUB_TOKEN=" + secret:                             hidden,
		"PGPASSWORD=" + secret:                               hidden,
		"DB_PASS=" + secret:                                  hidden,
		"MYSQL_PWD=" + secret:                                hidden,
		"DBPASS=" + secret:                                   hidden,
		"BASIC_AUTH=" + secret:                               hidden,
		"SENTRY_DSN=" + secret:                               hidden,
		"DATABASE_URL=" + secret:                             hidden,
		"SHOP_DATABASEURL=" + secret:                         hidden,
		"ConnectionStrings__Default=" + secret:               hidden,
		"GOOGLE_CREDENTIALS=" + secret:                       hidden,
		"PRIVATE=" + secret:                                  hidden,
		"SLACK_WEBHOOK_URL=" + secret:                        hidden,
		"SECRET_FILE=" + secret:                              hidden,
		"SECRET=a":                                           hidden,
		"PEM=-----BEGIN RSA PRIVATE KEY-----\nx":             hidden,
		"REDIS_URL=redis://:" + secret + "@cache:6379/0":     "redis://:" + hidden + "@cache:6379/0",
		"BROKER=amqp://shop:" + secret + "@a,amqp://b:p@b":   "amqp://shop:" + hidden + "@a,amqp://b:" + hidden + "@b",
		"PROXY=http://a:b@c@host/":                           "http://a:" + hidden + "@host/",
		"PG=host=db password=" + secret + " sslmode=require": "host=db password=" + hidden + " sslmode=require",
		"JDBC=jdbc:x://h/d?user=u&Password=" + secret + "&a": "jdbc:x://h/d?user=u&Password=" + hidden + "&a",
		"SECRET_EMPTY=":                                      "",
		"SECRET_KEY_FILE=/run/secrets/key":                   "/run/secrets/key",
		"SSH_AUTH_SOCK=/tmp/agent":                           "/tmp/agent",
		"PWD=/srv/shop":                                      "/srv/shop",
		"OLDPWD=/srv":                                        "/srv",
		"PASSENGER_APP_ENV=production":                       "production",
		"PATH=/usr/bin:/bin":                                 "/usr/bin:/bin",
		"HOST=http://localhost:3000/@vite/client":            "http://localhost:3000/@vite/client",
		"REPEATED=it is " + secret + "!":                     "it is " + hidden + "!",
		"NO_VALUE":                                           "",
	} {
		f := newFailure(&spawner.SpawnError{Env: spawner.Env{variable, "OTHER_SECRET=" + secret}})
		for _, v := range f.Env {
			if v.Name != "OTHER_SECRET" {
				require.Equal(t, shown, v.Value, variable)
			}
		}
	}
}

// Secrets are hidden in what the application prints, too.
func TestSecretsInTexts(t *testing.T) {
	r := newRedactor([]string{
		"TOKEN=abcdef", "LONG_TOKEN=abcdefghi", "SHORT_TOKEN=yes", "HTML_TOKEN=<a&b'c>", "COLOUR_TOKEN=red\x1b[0mgreen",
		"CACHE=redis://:battery@cache", "DATABASE_URL=postgres://shop:staple@db", "PLAIN=visible",
	})
	for text, shown := range map[string]string{
		"abcdef abcdefghi abc yes":             hidden + " " + hidden + " abc yes",
		"<a&b'c> &lt;a&amp;b&#39;c&gt;":        hidden + " " + hidden,
		"redgreen \x1b[31mabc\x1b[0mdef":       hidden + " " + hidden,
		"password battery, password staple":    "password " + hidden + ", password " + hidden,
		"connecting to ftp://me:other@host:21": "connecting to ftp://me:" + hidden + "@host:21",
		"visible http://localhost:3000/@vite":  "visible http://localhost:3000/@vite",
	} {
		require.Equal(t, shown, r.show(text))
	}
}

func TestWordsOfAFailure(t *testing.T) {
	for _, c := range []struct{ summary, lead string }{
		{"the application has a fault", "The application has a fault"},
		{"python does not speak the spawn protocol", "python does not speak the spawn protocol"},
		{"shop is no application", "shop is no application"},
		{"/srv/shop/run cannot be executed", "/srv/shop/run cannot be executed"},
		{"app.js cannot be executed", "app.js cannot be executed"},
		{"", ""},
	} {
		f := newFailure(&spawner.SpawnError{Summary: c.summary, Command: []string{"python"}, AppName: "shop"})
		require.Equal(t, c.lead, f.Lead)
	}
	step := func(name spawner.StepName, state spawner.StepState) spawner.Journey {
		return spawner.Journey{{Name: spawner.StepPrepare, State: spawner.StepPerformed}, {Name: name, State: state}}
	}
	for _, c := range []struct {
		status  string
		journey spawner.Journey
		end     string
	}{
		{"signal: killed", step(spawner.StepStart, spawner.StepPerformed), "it ended by itself: signal: killed"},
		{"", step(spawner.StepStart, spawner.StepPerformed), "it did not end by itself, and was stopped"},
		{"", step(spawner.StepFork, spawner.StepPerformed), "it did not end by itself, and was stopped"},
		{"", step(spawner.StepStart, spawner.StepNotStarted), "it was not started"},
		{"", step(spawner.StepFork, spawner.StepFailed), "it was not started"},
		{"", nil, ""},
	} {
		require.Equal(t, c.end, newFailure(&spawner.SpawnError{ExitStatus: c.status, Journey: c.journey}).End)
	}
	for d, words := range map[time.Duration]string{
		0: "< 1 ms", 999 * time.Microsecond: "< 1 ms", 38 * time.Millisecond: "38 ms", 1240 * time.Millisecond: "1.2 s", 90 * time.Second: "90.0 s",
	} {
		require.Equal(t, words, readable(d))
	}
	require.Equal(t, `/bin/sh -c 'echo "it'\''s $X"' '' a=b`, commandLine([]string{"/bin/sh", "-c", `echo "it's $X"`, "", "a=b"}))
}
