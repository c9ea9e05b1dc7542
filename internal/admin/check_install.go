package admin

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const programName = "passenger"

func checkPath(_ context.Context, h *Host) Result {
	found, err := exec.LookPath(programName)
	if err != nil {
		return warn("add "+filepath.Dir(h.Program)+" to PATH, or link the program from a directory in it",
			"%s is not in PATH", programName)
	}

	if !sameFile(found, h.Program) {
		return warn("look which of them is meant, and remove the other or change the order of PATH",
			"in PATH, %s is %s, and this is %s", programName, found, h.Program)
	}

	return ok("%s", found)
}

func checkOthers(_ context.Context, h *Host) Result {
	var others []string
	for _, dir := range filepath.SplitList(h.Getenv("PATH")) {
		path := filepath.Join(dir, programName)
		info, err := os.Stat(path)
		if err != nil || dir == "" || info.IsDir() || info.Mode()&0o111 == 0 || sameFile(path, h.Program) {
			continue
		}

		others = append(others, path)
	}

	if len(others) > 0 {
		return warn("remove it, unless you mean to have both", "%s", strings.Join(others, ", "))
	}

	return ok("")
}

func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}

	second, err := os.Stat(b)

	return err == nil && os.SameFile(first, second)
}
