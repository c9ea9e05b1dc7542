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
	"sync"
)

// Hidden stands for a secret.
const Hidden = "(hidden)"

// shortestSecret is the length from which secrets are hidden. Hiding shorter ones wherever they
// occur would make texts unreadable and hide nothing.
const shortestSecret = 6

var (
	secretName = lazy(`KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASSCODE|CRED|AUTH|PRIVATE|DSN|` +
		`DATABASE_?URL|CONNECTION_?STRING|SALT|COOKIE|JWT|WEBHOOK|SIGNATURE|ENCRYPT|` +
		`PASS(?:[^A-Z]|$)|(?:^|[^A-Z])(?:PAT|PSK|PW|PWD|SK)(?:[^A-Z]|$)`)
	// fileName is the end of the name of a file that has a secret in it.
	fileName = lazy(`(?:_(?:FILE|PATH|DIR|SOCK)|CERTIFICATE_KEY)$`)
	// cookieSetting says which cookie, not what is in it.
	cookieSetting = lazy(`COOKIE_(?:NAME|ATTRIBUTES)$|_BY_COOKIE$`)

	urlPassword = finder{"://", lazy(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@"'<>]*):([^\s/?#"'<>]+)@`)}
	parameter   = finder{
		"=",
		lazy(`(?i)([?&](?:[a-z_]*(?:password|passwd|secret|token)|api_?key|signature)=)([^\s&#;,"'<>]+)`),
	}
	namedPassword = finder{"=", lazy(`(?i)((?:password|passwd|passphrase|pwd|secret|token|api_?key)=)([^\s&;,"']+)`)}
	privateKey    = lazy(`-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	// issued is what services give out as keys: Stripe, GitHub, GitLab, Slack, AWS, Google, SendGrid, npm, OpenAI, and
	// JSON Web Tokens. Each has a prefix so that programs like this one find it.
	issued = lazy(`\b(?:[sr]k_(?:live|test)_[A-Za-z0-9]{8,}|whsec_[A-Za-z0-9+/=]{8,}|gh[opsur]_[A-Za-z0-9]{16,}|` +
		`github_pat_[A-Za-z0-9_]{16,}|glpat-[A-Za-z0-9_-]{16,}|xox[abeoprs]-[A-Za-z0-9-]{8,}|` +
		`(?:AKIA|ASIA)[A-Z0-9]{16}\b|` +
		`AIza[A-Za-z0-9_-]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{30,}|` +
		`sk-[A-Za-z0-9_-]{20,}|` +
		`eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+)`)
)

// lazy compiles a pattern when it is first used: a program that shows nothing needs none.
func lazy(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// finder finds secrets: each is the second group of its pattern.
type finder struct {
	// sign is in each match: to look for it costs little where there is none.
	sign    string
	pattern func() *regexp.Regexp
}

// secrets returns those in a text.
func (f *finder) secrets(s string) (all []string) {
	if !strings.Contains(s, f.sign) {
		return nil
	}

	for _, m := range f.pattern().FindAllStringSubmatch(s, -1) {
		all = append(all, m[2])
	}

	return all
}

// replace puts another text in the place of each match, behind the first group.
func (f *finder) replace(s, by string) string {
	if !strings.Contains(s, f.sign) {
		return s
	}

	return f.pattern().ReplaceAllString(s, "${1}"+by)
}

// IsSecret reports whether the value of an environment variable or option of this name
// must not be shown. The name may be in small letters.
func IsSecret(name, value string) bool {
	name = strings.ToUpper(name)
	switch {
	case name == "PWD", name == "OLDPWD", cookieSetting().MatchString(name):
		return false
	case strings.HasPrefix(value, "/") && fileName().MatchString(name):
		return false
	}

	return secretName().MatchString(name)
}

// Redactor hides secrets of an environment wherever they are repeated.
type Redactor struct{ secrets *strings.Replacer }

// New returns a Redactor for an environment of NAME=value, which may be nil.
func New(env []string) *Redactor {
	var secrets []string
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		if value = clean(value); IsSecret(name, value) {
			secrets = append(secrets, value)
		}

		for _, f := range []*finder{&urlPassword, &parameter, &namedPassword} {
			secrets = append(secrets, f.secrets(value)...)
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
	s = urlPassword.replace(r.secrets.Replace(clean(s)), ":"+Hidden+"@")
	s = parameter.replace(s, Hidden)

	return issued().ReplaceAllString(s, Hidden)
}

// Variable is Text for the value of an environment variable.
func (r *Redactor) Variable(name, value string) string {
	if value != "" && (IsSecret(name, value) || privateKey().MatchString(value)) {
		return Hidden
	}

	return namedPassword.replace(r.Text(value), Hidden)
}

var withoutEnvironment = New(nil)

// Text makes foreign text fit to be shown where no environment is at hand.
func Text(s string) string { return withoutEnvironment.Text(s) }
