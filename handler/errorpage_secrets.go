package handler

import (
	"cmp"
	"html"
	"regexp"
	"slices"
	"strings"
)

const hidden = "(hidden)"

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

// redactor hides secrets of an environment wherever they are repeated.
type redactor struct{ secrets *strings.Replacer }

func newRedactor(env []string) *redactor {
	var secrets []string
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		if value = cleanText(value); isSecretName(name, value) {
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
		replacements = append(replacements, s, hidden)
		if escaped := html.EscapeString(s); escaped != s {
			replacements = append(replacements, escaped, hidden)
		}
	}
	return &redactor{strings.NewReplacer(replacements...)}
}

// show makes foreign text fit for the page.
func (r *redactor) show(s string) string {
	return urlPassword.ReplaceAllString(r.secrets.Replace(cleanText(s)), "${1}:"+hidden+"@")
}

// showVariable is show for an environment variable.
func (r *redactor) showVariable(name, value string) string {
	if value != "" && (isSecretName(name, value) || privateKey.MatchString(value)) {
		return hidden
	}
	return namedPassword.ReplaceAllString(r.show(value), "${1}"+hidden)
}
