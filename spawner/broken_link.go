package spawner

import (
	"fmt"
	"os"
	"path/filepath"
)

// withBrokenLink adds to a path the link of it that leads nowhere, such as that to a release that was removed.
func withBrokenLink(path string) string {
	for link := path; link != filepath.Dir(link); link = filepath.Dir(link) {
		target, err := os.Readlink(link)
		switch _, broken := os.Stat(link); {
		case err != nil || broken == nil:
		case link == path:
			return fmt.Sprintf("%s, which leads to %s,", path, target)
		default:
			return fmt.Sprintf("%s, below %s, which leads to %s,", path, link, target)
		}
	}

	return path
}
