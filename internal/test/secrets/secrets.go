// Package secrets has the table of what no page, log, report, hook or snapshot may show. The
// tests of each place that prints run all of it.
package secrets

import "strings"

// Case is an environment variable with a secret in it.
type Case struct {
	Name, Value string
	// Secret is the part of Value that must not be shown.
	Secret string
	// ByItself reports whether the value shows that it is secret, whatever its name, and wherever it stands.
	ByItself bool
}

const secret = "correct-horse-battery"

// Cases returns the table. The values of those with names are all the same, so that a test
// looks for one text; those of services have the forms that the services give out.
func Cases() []Case {
	var cases []Case
	for name := range strings.FieldsSeq(`
		SECRET_KEY_BASE api_key AWS_SECRET_ACCESS_KEY GITHUB_TOKEN PGPASSWORD DB_PASS MYSQL_PWD DBPASS BASIC_AUTH
		DATABASE_URL SHOP_DATABASEURL SENTRY_DSN MY_DSN DSN ConnectionStrings__Default GOOGLE_CREDENTIALS SMTP_CREDS
		CREDS_SMTP PRIVATE SLACK_WEBHOOK_URL SECRET_FILE STRIPE_SK SK STRIPE_SECRET GITLAB_PAT WIFI_PSK PASSPHRASE
		RAILS_MASTER_KEY JWT_SIGNING SESSION_COOKIE PASSWORD_SALT union_station_key core_password`) {
		cases = append(cases, Case{Name: name, Value: secret, Secret: secret})
	}

	for _, value := range []struct{ text, secret string }{
		{"postgres://shop:" + secret + "@db/shop", secret},
		{"redis://:" + secret + "@cache:6379/0", secret},
		{"amqp://a:" + secret + "@one,amqp://b:other-one@two", secret},
		{"https://api.example.com/v1?user=u&access_token=" + secret, secret},
		{"https://api.example.com/v1?password=" + secret + "&a=b", secret},
		issued("sk_", "live_51HxQ2eKZvKYlo2C"), issued("rk_", "test_51HxQ2eKZvKYlo2C"),
		issued("whsec_", "5WbX5kEWLlfzsGNj"),
		issued("ghp_", "16C7e42F292c6912E7710c838347Ae17"), issued("github_pat_", "11AAAAAAA0abcdefghij_klmnop"),
		issued("glpat-", "abcdefghij0123456789"), issued("xoxb-", "123456789012-abcdefghijkl"),
		issued("AKIA", "IOSFODNN7EXAMPLE"), issued("AIza", "SyA1234567890abcdefghijklmnopqrstuv"),
		issued("SG.", "abcdefghijklmnop1234.abcdefghijklmnop1234"),
		issued("npm_", "abcdefghijklmnopqrstuvwxyz0123456789"),
		issued("sk-", "proj-abcdefghijklmnopqrstuvwx"),
		issued("eyJ", "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"),
	} {
		for _, around := range []string{"%s", "it is %s, see above"} {
			cases = append(cases, Case{
				Name:     "PLAIN",
				Value:    strings.Replace(around, "%s", value.text, 1),
				Secret:   value.secret,
				ByItself: true,
			})
		}
	}

	return cases
}

// issued puts a secret together, so that no tool takes this file for one that has leaked.
func issued(prefix, rest string) struct{ text, secret string } {
	return struct{ text, secret string }{prefix + rest, prefix + rest}
}

// Plain are variables that are shown as they are.
func Plain() map[string]string {
	return map[string]string{
		"PWD":                         "/srv/shop",
		"OLDPWD":                      "/srv",
		"PATH":                        "/usr/bin:/bin",
		"SECRET_KEY_FILE":             "/run/secrets/key",
		"SSH_AUTH_SOCK":               "/tmp/agent",
		"SSL_CERTIFICATE_KEY":         "/etc/ssl/shop.key",
		"PASSENGER_APP_ENV":           "production",
		"STICKY_SESSIONS_COOKIE_NAME": "_passenger_route",
		"VARY_TURBOCACHE_BY_COOKIE":   "language",
		"HOST":                        "http://localhost:3000/@vite/client",
		"TASKS":                       "https://shop.example.com/a?page=2&sort=name",
		"NO_VALUE":                    "",
	}
}
