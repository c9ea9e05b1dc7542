package spawner

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/gopassenger/passenger/internal/ownfile"
)

const maxEnvFile = 1 << 20

// readEnvFiles reads app's environment files. It has to be called with the
// rights of the application's user. Its errors are faults.
func readEnvFiles(app *App) (map[string]string, error) {
	vars := map[string]string{}
	for _, name := range app.EnvFiles {
		name, optional := strings.CutPrefix(name, "-")
		path := absolute(app.Root, name)
		text, err := ownfile.ReadRegular(path, maxEnvFile)
		if optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}

		if err == nil {
			err = parseEnvFile(string(text), vars)
		}

		if err != nil {
			return nil, &fault{problem: envFileUnusable, subject: path, err: err}
		}
	}

	return vars, nil
}

// parseEnvFile adds the variables of an environment file to vars. The errors
// name lines, and never what stands in them.
func parseEnvFile(text string, vars map[string]string) error {
	// Editors of Windows begin a file with the mark.
	p := envParser{rest: strings.TrimPrefix(text, "\ufeff"), line: 1}
	for p.skipBlank(); p.rest != ""; p.skipBlank() {
		at := p.line
		switch p.peek() {
		case '#', ';':
			p.skipLine()
			continue
		}

		name, ok := p.name()
		if !ok {
			return fmt.Errorf("line %d is not NAME=VALUE", at)
		}

		value, ok := p.value()
		if !ok {
			return fmt.Errorf("the quote that line %d opens is not closed", at)
		}

		if strings.ContainsRune(value, 0) {
			return fmt.Errorf("the value in line %d holds NUL", at)
		}

		vars[name] = value
	}

	return nil
}

type envParser struct {
	rest string
	line int
}

func (p *envParser) peek() byte {
	if p.rest == "" {
		return 0
	}

	return p.rest[0]
}

func (p *envParser) next() byte {
	c := p.peek()
	if p.rest != "" {
		p.rest = p.rest[1:]
	}

	if c == '\n' {
		p.line++
	}

	return c
}

func (p *envParser) skipBlank() {
	for p.rest != "" && strings.IndexByte(" \t\r\n", p.peek()) >= 0 {
		p.next()
	}
}

func (p *envParser) skipLine() {
	for p.rest != "" && p.next() != '\n' {
		continue
	}
}

// name reads a variable's name and the equals sign. The word export, as a
// shell would want it, may stand in front.
func (p *envParser) name() (string, bool) {
	line, _, _ := strings.Cut(p.rest, "\n")
	name, _, ok := strings.Cut(line, "=")
	if !ok {
		return "", false
	}

	p.rest = p.rest[len(name)+1:]
	name = strings.TrimSpace(strings.TrimPrefix(name, "export "))

	return name, isShellName(name)
}

// value reads up to the end of the line, but for quotes, backslashes and a comment.
func (p *envParser) value() (string, bool) {
	// endsWord reports whether a comment may begin: not in the middle of a password, a color or an address.
	endsWord := false
	for p.peek() == ' ' || p.peek() == '\t' {
		p.next()
		endsWord = true
	}

	var b strings.Builder

	// kept is how much of b is not blanks that may turn out to be trailing.
	kept := 0
	for p.rest != "" {
		c := p.next()
		if c == '#' && endsWord {
			p.skipLine()
			break
		}

		endsWord = c == ' ' || c == '\t' || c == '\'' || c == '"' || endsWord && c == '\\' && p.peek() == '\n'

		switch c {
		case '\n':
			return b.String()[:kept], true
		case '\'', '"':
			if !p.quoted(c, &b) {
				return "", false
			}

			kept = b.Len()
		case '\\':
			if e := p.next(); e != '\n' && e != 0 {
				b.WriteByte(e)
				kept = b.Len()
			}
		default:
			b.WriteByte(c)
			// The carriage return is of files that were written on Windows.
			if c != ' ' && c != '\t' && c != '\r' {
				kept = b.Len()
			}
		}
	}

	return b.String()[:kept], true
}

func (p *envParser) quoted(quote byte, b *strings.Builder) bool {
	for p.rest != "" {
		c := p.next()
		switch {
		case c == quote:
			return true
		case c == '\\' && quote == '"':
			// Only what would mean something else is escaped.
			switch e := p.next(); e {
			case '\n', 0:
			case '"', '\\', '$', '`':
				b.WriteByte(e)
			default:
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}

	return false
}

// isShellName reports whether a shell can have name as that of a variable.
func isShellName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	return name != "" && strings.IndexByte("0123456789", name[0]) < 0 && strings.Trim(name, letters+"0123456789") == ""
}
