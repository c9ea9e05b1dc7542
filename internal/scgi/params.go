package scgi

import (
	"net/http"
	"strings"
)

// MaxParams is the most parameters that a request may have.
const MaxParams = 1024

// manyParams is from where on looking each name up is faster than comparing all.
const manyParams = 64

// Param is a parameter of a request: a variable of CGI, a header of the client's,
// whose name begins with HTTP_, or what else the web server's configuration adds.
type Param struct{ Name, Value string }

// ParamList are the parameters of a request in the order in which they came. Of
// names that do not begin with HTTP_ there is one each.
type ParamList []Param

// Lookup returns the value of the first parameter of that name, and whether there
// is one.
func (l ParamList) Lookup(name string) (value string, ok bool) {
	for i := range l {
		if l[i].Name == name {
			return l[i].Value, true
		}
	}

	return "", false
}

// Get returns the value of the first parameter of that name, "" if there is none.
func (l ParamList) Get(name string) string {
	value, _ := l.Lookup(name)
	return value
}

type paramsKey struct{}

// Params returns what the web server sent with r, whose context must be, or come
// from, that of a request that a [Server] has served; else nil. The list must not
// be changed. Only the web server decides what does not begin with HTTP_, so
// that options of its configuration differ from what clients send. There may
// be passwords in it.
func Params(r *http.Request) ParamList {
	l, _ := r.Context().Value(paramsKey{}).(ParamList)
	return l
}

const headerPrefix = "HTTP_"

// checkUnique refuses a name that is there twice: which of them counts is not for
// us to guess. Headers may be, as in HTTP.
func (l ParamList) checkUnique() error {
	var seen map[string]struct{}
	if len(l) > manyParams {
		seen = make(map[string]struct{}, len(l))
	}

	for i := range l {
		name := l[i].Name
		if strings.HasPrefix(name, headerPrefix) {
			continue
		}

		if seen == nil {
			if _, again := l[:i].Lookup(name); !again {
				continue
			}
		} else if _, again := seen[name]; !again {
			seen[name] = struct{}{}
			continue
		}

		return bad("the parameter %s is there twice: remove one of them from the web server's configuration",
			show(name))
	}

	return nil
}

// plainName reports whether name has only the letters of CGI's variables. Others, which Apache's
// SetEnv and BrowserMatch make, mean nothing to us.
func plainName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		default:
			return false
		}
	}

	return true
}
