package spawner

import "path"

// phpFrameworks are recognized by a package that composer.json requires, or by a file beside the front controller.
var phpFrameworks = []struct{ framework, requires, file string }{
	{framework: "Laravel", requires: "laravel/framework"},
	{framework: "Symfony", requires: "symfony/framework-bundle"},
	{framework: "Drupal", requires: "drupal/core-recommended"},
	{framework: "Drupal", requires: "drupal/core"},
	{framework: "WordPress", file: "wp-load.php"},
	{framework: "DokuWiki", file: "doku.php"},
}

// detectPHP is the rule for an index.php.
func detectPHP(d *directory) *Detection {
	var front string
	for _, dir := range documentRoots {
		if front = path.Join(dir, phpIndex); d.has(front) {
			break
		}

		front = ""
	}

	if front == "" {
		return nil
	}

	found := &Detection{
		Framework:   "PHP",
		Type:        phpType,
		StartupFile: front,
		Because:     "there is " + front,
	}

	var composer struct {
		Require map[string]any `json:"require"`
	}

	d.readJSON("composer.json", &composer)

	for _, f := range phpFrameworks {
		if _, required := composer.Require[f.requires]; required {
			found.Framework = f.framework
			found.Because += ", and composer.json requires " + f.requires

			break
		}

		if f.file != "" && d.has(path.Join(path.Dir(front), f.file)) {
			found.Framework = f.framework
			found.Because += " and " + f.file

			break
		}
	}

	return found
}
