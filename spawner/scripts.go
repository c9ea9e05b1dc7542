package spawner

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Scripts are the PHP scripts of an application, and the rule by which a request finds its own. All paths but Root have
// slashes.
type Scripts struct {
	// Root is the application's directory. No script is executed to which a link leads out of it.
	Root string
	// DocumentRoot is the directory of what clients can ask for, below Root; "." means Root itself.
	DocumentRoot string
	// FrontController is the script, below DocumentRoot, for paths without a script of their own; empty means none.
	FrontController string
}

// Script is what a request executes.
type Script struct {
	// Filename is the absolute path of the script.
	Filename string
	// Name is the path of the script below the document root, with a slash in front, and PathInfo what follows it in
	// the path of the request. Neither has escapes.
	Name, PathInfo string
}

// The errors of [Scripts.Find].
var (
	ErrNoScript = errors.New("no script for this path")
	// ErrDirectory means that the path with a slash behind it has a script.
	ErrDirectory = errors.New("the path is that of a directory")
)

const (
	phpExtension = ".php"
	phpIndex     = "index.php"
)

// documentRoots are where the front controller is looked for, in this order: that of Laravel and Symfony, that of
// Drupal by Composer and of Yii, and that of WordPress and others.
var documentRoots = []string{"public", "web", "."}

// FindScripts returns the scripts of an application of type php. The startup file, which is the front controller,
// decides the document root: it is the directory of the file. Without one, it is public, web or Root itself, whichever
// is the first to have an index.php.
func FindScripts(app *App) Scripts {
	s := Scripts{Root: app.Root, DocumentRoot: "."}

	if app.StartupFile != "" {
		file := app.StartupFile
		if rel, err := filepath.Rel(app.Root, absolute(app.Root, file)); err == nil && filepath.IsLocal(rel) {
			file = rel
		}

		s.DocumentRoot, s.FrontController = path.Split(filepath.ToSlash(file))
		s.DocumentRoot = path.Clean(s.DocumentRoot)
	} else if dir := indexDirectory(app.Root); dir != "" {
		s.DocumentRoot, s.FrontController = dir, phpIndex
	}

	if app.NoFrontController {
		s.FrontController = ""
	}

	return s
}

// indexDirectory returns the directory below root with an index.php; empty means that there is none.
func indexDirectory(name string) string {
	root, err := os.OpenRoot(name)
	if err != nil {
		return ""
	}
	defer root.Close()

	for _, dir := range documentRoots {
		info, err := root.Stat(filepath.Join(dir, phpIndex))
		if err == nil && info.Mode().IsRegular() {
			return dir
		}
	}

	return ""
}

// DetectScripts returns the scripts of an application if it is of type php, or is recognized as one; else nil.
func DetectScripts(app *App) *Scripts {
	p, err := findProgram(app)
	if err != nil || p.appType.Name != phpType {
		return nil
	}

	c := command{program: p}
	scripts := c.scripts(app)

	return &scripts
}

// Directory returns the absolute path of the document root.
func (s *Scripts) Directory() string {
	return filepath.Join(s.Root, filepath.FromSlash(s.DocumentRoot))
}

// Find returns the script for the path of a request, without escapes and below the base URI. The rule is:
//
//  1. The first element of the path that ends in ".php" and names a regular file is the script; the rest is PATH_INFO.
//     What lies below another file, as in /upload.jpg/x.php, is none.
//  2. A directory with an index.php is that script, if the path ends with a slash, else ErrDirectory.
//  3. Everything else is for the front controller, or ErrNoScript.
//
// Names with a dot in front, and the directories of dependencies in the application's own directory, have no scripts.
// Neither are files that an .htaccess denies, or keeps from PHP, as uploads. Below a directory whose .htaccess denies
// access, there is nothing at all. All of it is about the way to the script: PATH_INFO may be anything.
func (s *Scripts) Find(urlPath string) (Script, error) {
	if strings.Contains(urlPath, "\x00") || !strings.HasPrefix(urlPath, "/") {
		return Script{}, ErrNoScript
	}

	d := newDocuments(s)
	defer d.close()

	clean := path.Clean(urlPath)
	if d.isDenied(wayToScript(clean)) {
		return Script{}, ErrNoScript
	}

	found, err := d.find(clean, clean == "/" || strings.HasSuffix(urlPath, "/"))
	if !errors.Is(err, ErrNoScript) {
		return found, err
	}

	if s.FrontController == "" || !d.exist() {
		return Script{}, ErrNoScript
	}

	return s.script("/"+s.FrontController, ""), nil
}

// maxScriptPath is PATH_MAX of all systems that we run on.
const maxScriptPath = 1024

// wayToScript returns the part of a path in which its script may be, so that a client cannot have thousands of names
// looked for. What is beyond it belongs to PATH_INFO, or to the front controller.
func wayToScript(clean string) string {
	if len(clean) <= maxScriptPath {
		return clean
	}

	return clean[:max(1, strings.LastIndexByte(clean[:maxScriptPath], '/'))]
}

func (s *Scripts) script(name, info string) Script {
	return Script{Filename: s.Directory() + filepath.FromSlash(name), Name: name, PathInfo: info}
}

// isHidden reports whether a path below the document root is not for the public.
func (s *Scripts) isHidden(name string) bool {
	if s.DocumentRoot == "." {
		// A document root of its own leaves dependencies outside.
		first, _, _ := strings.Cut(name, "/")
		if first == "vendor" || first == "node_modules" {
			return true
		}
	}

	rest := strings.TrimPrefix(name, ".well-known/") // RFC 8615

	return strings.HasPrefix(rest, ".") || strings.Contains(rest, "/.")
}

// sourceExtensions are those of files that PHP executes or includes.
var sourceExtensions = []string{
	"php", "php3", "php4", "php5", "php7", "php8", "phps", "pht", "phtml", "phar", "inc",
}

// lastExtensions are such ones of Drupal. Before another extension they mean something else, as in three.module.js.
var lastExtensions = []string{"module", "install", "theme", "profile", "engine"}

// filesOfRoot are not public in the application's directory: they tell which versions of its dependencies the
// application has, and hold this server's options, which may be secrets.
var filesOfRoot = []string{
	"composer.json", "composer.lock", "passengerfile.json", "passenger-standalone.json", "procfile",
}

// isOfServer reports whether a file of the application's directory has a name as this server's log and pid files have.
func isOfServer(file string) bool {
	return strings.HasPrefix(file, "passenger.") && (strings.Contains(file, ".log") || strings.Contains(file, ".pid"))
}

// IsPublic reports whether a file below the document root may be sent as it is: it is neither hidden nor a source, nor
// the copy of one that an editor has left, as config.php~ and config.php.bak. name has slashes. It looks at no file,
// unlike IsDenied.
func (s *Scripts) IsPublic(name string) bool {
	if s.isHidden(name) {
		return false
	}

	file := strings.ToLower(path.Base(name))
	if s.DocumentRoot == "." && (slices.Contains(filesOfRoot, file) || isOfServer(file)) {
		return false
	}

	file = strings.TrimRight(file, "~")
	for i, extension := range strings.Split(file, ".") {
		if i > 0 && slices.Contains(sourceExtensions, extension) {
			return false
		}
	}

	last := strings.TrimPrefix(path.Ext(strings.TrimSuffix(file, ".bak")), ".")

	return !slices.Contains(lastExtensions, last)
}

// IsDenied reports whether an .htaccess denies access to a file below the document root, or to a directory on the way
// to it. name has slashes.
func (s *Scripts) IsDenied(name string) bool {
	d := newDocuments(s)
	defer d.close()

	return d.isDenied("/"+name) || d.rulesOf("/"+name).denied
}
