package options

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/shell"
	"mvdan.cc/sh/v3/syntax"
)

// addressVariables are those by which a program learns where to serve.
var addressVariables = []string{"PORT", "SOCKET"}

// ParseCommand returns what to execute for a start command that is one text. Plain
// words, quoted or not, are a program with its arguments. Anything else a shell
// knows, such as $NAME, NAME=VALUE in front, a redirection, &&, ; or |, is left to
// /bin/sh, which the program replaces by exec where it is the last one that the
// shell would run. $PORT and $SOCKET are no reason for a shell: they stay as they are.
func ParseCommand(text string) ([]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(text), "")
	if err != nil {
		return nil, fmt.Errorf("%q is not a shell command: %w", text, err)
	}

	if len(file.Stmts) == 0 {
		return nil, errors.New("it is empty: leave it out, or write a command")
	}

	if len(file.Stmts) == 1 && isPlain(file.Stmts[0]) {
		words, err := shell.Fields(text, keepAddress)

		// Of exec, cd and the like, only a shell knows what to do.
		if err == nil && len(words) > 0 && !slices.Contains(builtins, words[0]) {
			return words, nil
		}
	}

	return []string{"/bin/sh", "-c", withExec(text, file)}, nil
}

// keepAddress is an environment that leaves $PORT and $SOCKET as they are. Nothing else is asked for
// but what shells split words by.
func keepAddress(name string) string {
	if slices.Contains(addressVariables, name) {
		return "$" + name
	}

	return ""
}

// isPlain reports whether a shell would do nothing but split the command.
func isPlain(s *syntax.Stmt) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(s.Redirs) > 0 || s.Background || s.Negated || len(call.Assigns) > 0 {
		return false
	}

	plain := true
	for _, word := range call.Args {
		syntax.Walk(word, func(node syntax.Node) bool {
			switch n := node.(type) {
			case nil, *syntax.Word, *syntax.SglQuoted:
			case *syntax.DblQuoted:
				plain = plain && !slices.ContainsFunc(n.Parts, func(part syntax.WordPart) bool { return !isText(part) })
				return false
			case *syntax.Lit:
				// File names, home directories and, in some shells, lists.
				plain = plain && !strings.ContainsAny(n.Value, "*?[{~")
			default:
				plain = plain && isAddress(node)
				return false
			}

			return plain
		})
	}

	return plain
}

func isText(part syntax.WordPart) bool {
	_, text := part.(*syntax.Lit)
	return text || isAddress(part)
}

// isAddress reports whether the node is $PORT or $SOCKET, with or without braces.
func isAddress(node syntax.Node) bool {
	p, ok := node.(*syntax.ParamExp)
	if !ok || p.Param == nil || !slices.Contains(addressVariables, p.Param.Value) {
		return false
	}

	return !p.Excl && !p.Length && p.Index == nil && p.Slice == nil && p.Repl == nil && p.Exp == nil
}

// builtins are no programs, or would mean something else behind exec.
var builtins = []string{
	".", ":", "alias", "bg", "break", "builtin", "cd", "command", "continue", "eval", "exec", "exit", "export", "fg",
	"hash",
	"jobs", "local", "read", "readonly", "return", "set", "shift", "source", "times", "trap", "type", "ulimit", "umask",
	"unalias", "unset", "wait",
}

// withExec puts exec in front of the last command if it is a program, so that no
// shell stands between us and it. Where a trap was set, the shell has to stay.
func withExec(text string, file *syntax.File) string {
	traps := false
	syntax.Walk(file, func(node syntax.Node) bool {
		if call, ok := node.(*syntax.CallExpr); ok && len(call.Args) > 0 && call.Args[0].Lit() == "trap" {
			traps = true
		}

		_, function := node.(*syntax.FuncDecl)
		// The name of a function is no program's.
		traps = traps || function

		return true
	})
	if at, ok := lastProgram(file.Stmts[len(file.Stmts)-1]); ok && !traps {
		return text[:at] + "exec " + text[at:]
	}

	return text
}

// lastProgram returns where the program begins that s ends with.
func lastProgram(s *syntax.Stmt) (at uint, ok bool) {
	if s.Background || s.Negated {
		return 0, false
	}

	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		if len(c.Args) == 0 || slices.Contains(builtins, c.Args[0].Lit()) {
			return 0, false
		}

		return c.Args[0].Pos().Offset(), true
	case *syntax.BinaryCmd:
		// At the end of a pipe, the shell has to wait for its other programs.
		if c.Op == syntax.AndStmt || c.Op == syntax.OrStmt {
			return lastProgram(c.Y)
		}
	}

	return 0, false
}
