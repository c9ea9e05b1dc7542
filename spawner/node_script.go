package spawner

import (
	"slices"
	"strings"
)

// nodeScript is a script of package.json that gives a file to Node.js.
type nodeScript struct {
	// env is what it sets before.
	env map[string]string
	// flags are those of Node.js, and dropped those of them that are not for a server in production.
	flags, dropped []string
	file           string
}

// nodeFlagsWithValue are flags of Node.js whose value may be the next word.
var nodeFlagsWithValue = []string{
	"-r", "--require", "--import", "--loader", "--experimental-loader", "--env-file", "--env-file-if-exists", "-C",
	"--conditions", "--disable-warning", "--title", "--max-http-header-size", "--stack-trace-limit", "--icu-data-dir",
	"--dns-result-order", "--unhandled-rejections", "--input-type", "--experimental-default-type", "--tls-cipher-list",
	"--openssl-config", "--diagnostic-dir", "--report-dir", "--report-directory", "--redirect-warnings",
}

// nodeOtherModes are flags by which Node.js runs something else than a file that serves.
var nodeOtherModes = []string{
	"-e", "--eval", "-p", "--print", "-pe", "-c", "--check", "-i", "--interactive", "-v", "--version", "-h", "--help",
	"--test", "--run", "--build-snapshot", "--prof-process", "-",
}

// scriptVariables are decided by the server, whatever a script sets.
var scriptVariables = []string{portVariable, socketVariable, "NODE_ENV", "PATH", "NODE_PATH", "PWD"}

// parseNodeScript understands a script that sets variables, perhaps by cross-env, and executes Node.js with one file.
func parseNodeScript(script string) (s nodeScript, ok bool) {
	words, ok := shellWords(script)
	if !ok {
		return s, false
	}

	for len(words) > 0 {
		name, value, assigned := strings.Cut(words[0], "=")
		switch {
		case assigned && variableName().MatchString(name):
			if !slices.Contains(scriptVariables, name) {
				if s.env == nil {
					s.env = map[string]string{}
				}

				s.env[name] = value
			}
		case !slices.Contains([]string{"cross-env", "env", "exec"}, words[0]):
			return s, (words[0] == "node" || words[0] == "nodejs") && s.parse(words[1:])
		}

		words = words[1:]
	}

	return s, false
}

var variableName = lazy(`^[A-Za-z_]\w*$`)

// parse takes what follows the name of Node.js. What follows the file is for the program, and not understood here.
func (s *nodeScript) parse(words []string) bool {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") && words[0] != "--" {
		name, _, _ := strings.Cut(words[0], "=")
		if slices.Contains(nodeOtherModes, name) {
			return false
		}

		count := 1
		if name == words[0] && slices.Contains(nodeFlagsWithValue, name) {
			count = 2
		}

		if len(words) < count {
			return false
		}

		// Each of several processes would want the debugger's one port, and no process survives that is watched.
		if strings.HasPrefix(name, "--inspect") || strings.HasPrefix(name, "--watch") {
			s.dropped = append(s.dropped, words[:count]...)
		} else {
			s.flags = append(s.flags, words[:count]...)
		}

		words = words[count:]
	}

	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}

	if len(words) != 1 {
		return false
	}

	s.file = words[0]

	return true
}

// describe returns how the script starts its file, as the end of a clause.
func (s *nodeScript) describe() (how string) {
	if len(s.flags) > 0 {
		how = " with " + strings.Join(s.flags, " ")
	}

	if len(s.dropped) > 0 {
		how += ", without its " + strings.Join(s.dropped, " ")
	}

	return how
}

// shellWords takes a command apart as a shell does. A command that needs a shell is not understood.
func shellWords(command string) (words []string, ok bool) {
	var word strings.Builder

	begun := false
	quote := byte(0)

	for i := 0; i < len(command); i++ {
		c := command[i]

		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == '"' && strings.IndexByte("$`\\", c) >= 0:
			return nil, false
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, begun = c, true
		case c == ' ' || c == '\t':
			if begun {
				words = append(words, word.String())
				word.Reset()
			}

			begun = false
		case strings.IndexByte("$`\\;&|<>(){}*?[]#!~\n\r\x00", c) >= 0:
			return nil, false
		default:
			word.WriteByte(c)
			begun = true
		}
	}

	if begun {
		words = append(words, word.String())
	}

	return words, quote == 0
}

// startScript returns how package.json starts the file of an application of Node.js; nil means that it does not.
func (d *directory) startScript(file string) *nodeScript {
	p := d.readPackage()
	if file == "" || d.startedFile(p) != file {
		return nil
	}

	s, _ := parseNodeScript(p.Scripts["start"])

	return &s
}
