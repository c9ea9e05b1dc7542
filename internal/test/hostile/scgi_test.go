package hostile_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/loaderproto"
)

var (
	cgiStatus = regexp.MustCompile(`^Status: ([0-9]{3})`)
	cgiName   = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
)

// params is the request as a web server passes it on by SCGI. why says why that cannot
// be.
func (r *spoken) params() (raw, why string) {
	length := strconv.Itoa(len(r.body))
	names := map[string]string{}
	if r.target == "" {
		return "", "no target is none of SCGI"
	}

	for _, f := range r.fields {
		name := strings.ToUpper(strings.ReplaceAll(f[0], "-", "_"))
		switch {
		case !cgiName.MatchString(f[0]):
			return "", "a name is none of CGI"
		case name == "TRANSFER_ENCODING", name == "CONNECTION", name == "UPGRADE":
			return "", "it is about a connection that ends at the web server"
		case name == "CONTENT_LENGTH" && len(f[1]) > 1 && f[1][0] == '0':
			return "", "SCGI writes a number in one way"
		case name != "CONTENT_TYPE" && name != "CONTENT_LENGTH":
			name = "HTTP_" + name
		}

		if _, twice := names[name]; twice {
			return "", "a web server joins fields of one name"
		}

		names[name] = f[1]
		if name == "CONTENT_LENGTH" {
			length = f[1]
		}
	}

	pairs := []string{
		"CONTENT_LENGTH", length, "SCGI", "1", "REQUEST_METHOD", r.method, "REQUEST_URI", r.target,
		"SERVER_PROTOCOL", "HTTP/1.1", "REMOTE_ADDR", "127.0.0.1", "REMOTE_PORT", "4711", "HTTP_HOST", r.host,
	}
	delete(names, "CONTENT_LENGTH")

	for name, value := range names {
		pairs = append(pairs, name, value)
	}

	if slices.ContainsFunc(pairs, func(s string) bool { return strings.Contains(s, "\x00") }) {
		return "", "a NUL ends a parameter"
	}

	head := strings.Join(pairs, "\x00") + "\x00"

	return fmt.Sprintf("%d:%s,%s", len(head), head, r.body), ""
}

// playSCGI runs the row by SCGI.
func (row *requestRow) playSCGI(b *booth, r *spoken, raw string) error {
	b.forget()
	got, err := b.exchange(raw, 5*time.Second)
	if err != nil {
		return err
	}

	status := 0
	if text := cgiStatus.FindStringSubmatch(got); text != nil {
		if status, err = strconv.Atoi(text[1]); err != nil {
			return err
		}
	}

	requests := b.requests()
	if err := row.judgeSpoken(r, status, requests); err != nil {
		return fmt.Errorf("%w\nstatus %d, requests %.1000s", err, status, fmt.Sprint(requests))
	}

	return nil
}

func TestRequestsBySCGI(t *testing.T) {
	for _, protocol := range []loaderproto.Protocol{loaderproto.HTTPSession, loaderproto.Session} {
		t.Run(string(protocol), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &booth{
					protocol: protocol,
					response: plainResponse,
					keeps:    true,
					scgi:     true,
				}
				var errs error // those that end the test would leave the server
				b.run(t, func() { errs = playRowsBySCGI(t, b) })
				require.NoError(t, errs)
			})
		})
	}
}

func playRowsBySCGI(t *testing.T, b *booth) (errs error) {
	t.Helper()

	said, unsaid := 0, map[string]int{}
	for _, row := range requestRows() {
		r, why := row.otherwise()
		raw := ""
		if why == "" {
			raw, why = r.params()
		}

		if row.want.script != nil {
			why = "the application says something else"
		}

		if why != "" {
			unsaid[why]++
			continue
		}

		said++
		if err := row.playSCGI(b, r, raw); err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s: %w", row.name, err))
		}
	}

	if said < 100 {
		errs = errors.Join(errs, fmt.Errorf("only %d rows can be said", said))
	}

	t.Logf("%d rows by SCGI, and those that cannot be said there: %v", said, unsaid)

	return errs
}
