package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// wikiApp is a page of a real application: DokuWiki, as Debian has it, renders a page again for each request.
const wikiApp = "wiki"

// wikiParts are the directories of Debian's package, by where they are in the application.
var wikiParts = map[string]string{
	".":    "/usr/share/dokuwiki",
	"conf": "/etc/dokuwiki",
	"data": "/var/lib/dokuwiki/data",
}

const (
	// wikiFront is asked for all paths.
	wikiFront  = "<?php\n$_REQUEST['purge'] = $_GET['purge'] = '1';\nrequire 'doku.php';\n"
	wikiConfig = "<?php\n$conf['savedir'] = './data';\n$conf['useacl'] = 0;\n"
	wikiPage   = "/?id=wiki:syntax"
	// wikiCopies is how often the page has its text, so that it takes about 50 ms.
	wikiCopies = 2
)

func wiki(ctx context.Context, b *bench, found func(section) error) error {
	if !isFile(filepath.Join(wikiParts["."], "doku.php")) {
		b.progress.warn("wiki: skipped: DokuWiki is not installed: run scripts/install-realapps")
		return nil
	}

	if err := makeWiki(filepath.Join(b.dir, "apps", wikiApp)); err != nil {
		return err
	}

	s, err := b.compareApp(ctx, "page", wikiApp, target{path: wikiPage})
	if err != nil {
		return err
	}

	return found(s)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// checkWiki reports why there is no page.
func checkWiki(ctx context.Context, url string) error {
	const title = "Formatting Syntax"

	page, err := ask(ctx, http.MethodGet, url+wikiPage, "", nil)
	if err == nil && !strings.Contains(page, title) {
		err = fmt.Errorf("the page %s has no title %q: %.200s", wikiPage, title, page)
	}

	return err
}

// makeWiki makes a wiki in a directory that does not exist.
func makeWiki(dir string) error {
	for part, source := range wikiParts {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(source)); err != nil {
			return fmt.Errorf("DokuWiki cannot be copied: %w", err)
		}
	}

	// Debian's leads to the wiki of the machine, and its rules are for Apache.
	for _, name := range []string{"inc/preload.php", ".htaccess"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}

	if err := lengthen(filepath.Join(dir, "data", "pages", "wiki", "syntax.txt")); err != nil {
		return err
	}

	for name, text := range map[string]string{"index.php": wikiFront, "conf/local.php": wikiConfig} {
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}

		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}

	return nil
}

// lengthen repeats the text of a page, without what it shows of other servers: each request would wait for them.
func lengthen(page string) error {
	text, err := os.ReadFile(page) //nolint:gosec // G304: our copy
	if err != nil {
		return err
	}

	text = bytes.ReplaceAll(text, []byte("{{rss>"), []byte("{{no-feed>"))
	text = bytes.Repeat(text, wikiCopies)

	return os.WriteFile(page, text, 0o600) //nolint:gosec // G703: our copy
}
