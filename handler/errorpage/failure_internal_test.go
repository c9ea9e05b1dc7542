package errorpage

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/spawner"
)

func TestSecretsOfTheEnvironment(t *testing.T) {
	const secret = "correct-horse"

	for variable, shown := range map[string]string{
		"SECRET_KEY_BASE=" + secret:                      redact.Hidden,
		"api_key=" + secret:                              redact.Hidden,
		"AWS_SECRET_ACCESS_KEY=" + secret:                redact.Hidden,
		"GITHUB_TOKEN=" + secret:                         redact.Hidden,
		"PGPASSWORD=" + secret:                           redact.Hidden,
		"DB_PASS=" + secret:                              redact.Hidden,
		"MYSQL_PWD=" + secret:                            redact.Hidden,
		"DBPASS=" + secret:                               redact.Hidden,
		"BASIC_AUTH=" + secret:                           redact.Hidden,
		"SENTRY_DSN=" + secret:                           redact.Hidden,
		"DATABASE_URL=" + secret:                         redact.Hidden,
		"SHOP_DATABASEURL=" + secret:                     redact.Hidden,
		"ConnectionStrings__Default=" + secret:           redact.Hidden,
		"GOOGLE_CREDENTIALS=" + secret:                   redact.Hidden,
		"PRIVATE=" + secret:                              redact.Hidden,
		"SLACK_WEBHOOK_URL=" + secret:                    redact.Hidden,
		"SECRET_FILE=" + secret:                          redact.Hidden,
		"SECRET=a":                                       redact.Hidden,
		"PEM=-----BEGIN RSA PRIVATE KEY-----\nx":         redact.Hidden,
		"REDIS_URL=redis://:" + secret + "@cache:6379/0": "redis://:" + redact.Hidden + "@cache:6379/0",
		"BROKER=amqp://shop:" + secret + "@a,amqp://b:p@b": "amqp://shop:" + redact.Hidden + "@a,amqp://b:" +
			redact.Hidden + "@b",
		"PROXY=http://a:b@c@host/":                           "http://a:" + redact.Hidden + "@host/",
		"PG=host=db password=" + secret + " sslmode=require": "host=db password=" + redact.Hidden + " sslmode=require",
		"JDBC=jdbc:x://h/d?user=u&Password=" + secret + "&a": "jdbc:x://h/d?user=u&Password=" + redact.Hidden + "&a",
		"SECRET_EMPTY=":                           "",
		"SECRET_KEY_FILE=/run/secrets/key":        "/run/secrets/key",
		"SSH_AUTH_SOCK=/tmp/agent":                "/tmp/agent",
		"PWD=/srv/shop":                           "/srv/shop",
		"OLDPWD=/srv":                             "/srv",
		"PASSENGER_APP_ENV=production":            "production",
		"PATH=/usr/bin:/bin":                      "/usr/bin:/bin",
		"HOST=http://localhost:3000/@vite/client": "http://localhost:3000/@vite/client",
		"REPEATED=it is " + secret + "!":          "it is " + redact.Hidden + "!",
		"NO_VALUE":                                "",
	} {
		f := newFailure(&spawner.SpawnError{Env: spawner.Env{variable, "OTHER_SECRET=" + secret}})
		for _, v := range f.Env {
			if v.Name != "OTHER_SECRET" {
				require.Equal(t, shown, v.Value, variable)
			}
		}
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
		0: "< 1 ms", 999 * time.Microsecond: "< 1 ms", 38 * time.Millisecond: "38 ms", 1240 * time.Millisecond: "1.2 s",
		90 * time.Second: "90.0 s",
	} {
		require.Equal(t, words, readable(d))
	}

	require.Equal(t, `/bin/sh -c 'echo "it'\''s $X"' '' a=b`,
		commandLine([]string{"/bin/sh", "-c", `echo "it's $X"`, "", "a=b"}))
}
