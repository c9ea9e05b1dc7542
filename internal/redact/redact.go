// Package redact makes texts of applications fit to be shown: it hides the secrets of
// an environment, and leaves nothing in them that a page, a terminal or a log could
// take for more than text.
package redact

import (
	"cmp"
	"html"
	"regexp"
	"slices"
	"strings"
)

// Hidden stands for a secret.
const Hidden = "(hidden)"

// shortestSecret: hiding shorter ones wherever they occur would make texts
// unreadable and hide nothing.
const shortestSecret = 6

var (
	secretName = regexp.MustCompile(`KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASSCODE|CREDENTIAL|AUTH|PRIVATE|DSN|` +
		`DATABASE_?URL|CONNECTION_?STRING|SALT|COOKIE|JWT|WEBHOOK|SIGNATURE|ENCRYPT|` +
		`PASS(?:[^A-Z]|$)|(?:^|[^A-Z])(?:PW|PWD)(?:[^A-Z]|$)`)
	// fileName names a file with a secret in it and not the secret.
	fileName = regexp.MustCompile(`_(?:FILE|PATH|DIR|SOCK)$`)

	urlPassword   = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@"'<>]*):([^\s/?#"'<>]+)@`)
	namedPassword = regexp.MustCompile(`(?i)((?:password|passwd|passphrase|pwd|secret|token|api_?key)=)([^\s&;,"']+)`)
	privateKey    = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)
)

// isSecretName tells whether the value of an environment variable is nobody's
// business.
func isSecretName(name, value string) bool {
	name = strings.ToUpper(name)
	switch {
	case name == "PWD", name == "OLDPWD":
		return false
	case strings.HasPrefix(value, "/") && fileName.MatchString(name):
		return false
	}

	return secretName.MatchString(name)
}

// Redactor hides secrets of an environment wherever they are repeated.
type Redactor struct{ secrets *strings.Replacer }

// New returns a Redactor for an environment of NAME=value, which may be nil.
func New(env []string) *Redactor {
	var secrets []string
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		if value = clean(value); isSecretName(name, value) {
			secrets = append(secrets, value)
		}

		for _, pattern := range []*regexp.Regexp{urlPassword, namedPassword} {
			for _, m := range pattern.FindAllStringSubmatch(value, -1) {
				secrets = append(secrets, m[2])
			}
		}
	}

	// Of two that begin alike, the longer one has to be found.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })

	var replacements []string
	for _, s := range slices.Compact(secrets) {
		if len(s) < shortestSecret {
			continue
		}

		replacements = append(replacements, s, Hidden)
		if escaped := html.EscapeString(s); escaped != s {
			replacements = append(replacements, escaped, Hidden)
		}
	}

	return &Redactor{strings.NewReplacer(replacements...)}
}

// Text makes foreign text fit to be shown.
func (r *Redactor) Text(s string) string {
	return urlPassword.ReplaceAllString(r.secrets.Replace(clean(s)), "${1}:"+Hidden+"@")
}

// Variable is Text for the value of an environment variable.
func (r *Redactor) Variable(name, value string) string {
	if value != "" && (isSecretName(name, value) || privateKey.MatchString(value)) {
		return Hidden
	}

	return namedPassword.ReplaceAllString(r.Text(value), "${1}"+Hidden)
}
