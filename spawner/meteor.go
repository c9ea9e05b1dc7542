package spawner

import (
	"os"
	"path/filepath"

	"github.com/gopassenger/passenger/internal/ownfile"
)

const (
	meteorType = "meteor"
	// meteorMark is what the source of an application has.
	meteorMark = ".meteor"
	// A bundle, made by meteor build, is run by Node.js.
	meteorBundleMark = "star.json"
	meteorBundleFile = "main.js"

	maxMeteorSettings = 1 << 20
)

func isMeteorBundle(root string) bool {
	for _, name := range []string{meteorBundleMark, meteorBundleFile} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			return false
		}
	}

	return true
}

func meteorStartupFile(root string) string {
	if _, err := os.Stat(filepath.Join(root, meteorMark)); err != nil && isMeteorBundle(root) {
		return filepath.Join(root, meteorBundleFile)
	}

	return filepath.Join(root, meteorMark)
}

// meteor has the application run by Meteor's tool, or by Node.js if it is a
// bundle. Both serve HTTP on a port.
func (r *resolver) meteor(c *command) error {
	c.generic = true
	if filepath.Base(c.startupFile) == meteorMark {
		return r.meteorSource(c)
	}

	return r.meteorBundle(c)
}

func (r *resolver) meteorSource(c *command) error {
	if _, err := os.Stat(c.startupFile); err != nil {
		return startupFault(c.startupFile, err)
	}

	meteor, err := r.lookUp(r.app.Meteor, interpreterMissing)
	if err != nil {
		return err
	}

	c.argv = []string{meteor, "run", "--port", "127.0.0.1:$PORT"}
	if r.app.Environment == DefaultEnvironment {
		c.argv = append(c.argv, "--production")
	}

	if r.app.MeteorSettings != "" {
		c.argv = append(c.argv, "--settings", absolute(r.app.Root, r.app.MeteorSettings))
	}

	return nil
}

func (r *resolver) meteorBundle(c *command) error {
	if err := checkStartupFile(c.startupFile); err != nil {
		return err
	}

	node, err := r.node(c)
	if err != nil {
		return err
	}

	c.argv = []string{node, c.startupFile}
	c.setEnv("BIND_IP", "127.0.0.1")
	// The proxy whose X-Forwarded-For is to be believed is this one.
	c.setEnv("HTTP_FORWARDED_COUNT", "1")

	// Meteor does not start without one.
	if os.Getenv("ROOT_URL") == "" || !inherits("ROOT_URL", r.switched) {
		c.env["ROOT_URL"] = "http://localhost" + r.app.BaseURI
	}

	if r.app.MeteorSettings == "" {
		return nil
	}

	path := absolute(r.app.Root, r.app.MeteorSettings)
	settings, err := ownfile.ReadRegular(path, maxMeteorSettings)
	if err != nil {
		return &fault{problem: settingsUnusable, subject: path, err: err}
	}

	c.env["METEOR_SETTINGS"] = string(settings)

	return nil
}
