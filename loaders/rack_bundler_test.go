package loaders_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/interpreters"
)

// showBundle shows what of Bundler is there, and the constant BY.
const showBundle = `run ->(env) {
  [200, {}, [[defined?(Bundler.root) && Bundler.root.to_s, defined?(BY) && BY].join(" ")]]
}`

// bundledApp writes an application whose other files are given.
func bundledApp(t *testing.T, files map[string]string) (root, startupFile string) {
	t.Helper()
	root = t.TempDir()
	all := map[string]string{"config.ru": showBundle}
	maps.Copy(all, files)

	for name, content := range all {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}

	return root, filepath.Join(root, "config.ru")
}

const missingGem = "gem 'no_such_gem_at_all'\n"

func TestRackBundlerChoice(t *testing.T) {
	t.Parallel()

	const bundled = "ROOT "
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no bundle": {map[string]string{}, " "},
		"own setup": {map[string]string{
			"config/setup_load_paths.rb": "BY = 'own'", ".bundle/environment.rb": "BY = 'locked'",
			"Gemfile": missingGem,
		}, " own"},
		"locked environment": {map[string]string{
			".bundle/environment.rb": "BY = 'locked'", "Gemfile": missingGem,
		}, " locked"},
		"Gemfile":            {map[string]string{"Gemfile": "gem 'rack'\n"}, bundled},
		"gems.rb":            {map[string]string{"gems.rb": "gem 'rack'\n"}, bundled},
		"only configuration": {map[string]string{".bundle/config": "---\n"}, " "},
		"a gem of its own": {map[string]string{
			"Gemfile":          "gem 'rack'\ngem 'ours', path: 'ours'\n",
			"config.ru":        "require 'ours'\n" + showBundle,
			"ours/lib/ours.rb": "BY = 'gem'",
			"ours/ours.gemspec": "Gem::Specification.new { |s| s.name = 'ours'; s.version = '1'; s.summary = 's'; " +
				"s.authors = ['a'] }",
		}, bundled + "gem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, file := bundledApp(t, c.files)
			want := c.want
			if len(want) >= len(bundled) && want[:len(bundled)] == bundled {
				want = root + " " + want[len(bundled):]
			}

			require.Equal(t, want, start(t, rackSpec(t, file)).get(t, "/").body)
			w := startPreloader(t, rackPreloaderSpec(t, file)).spawn(t, rackWorkerSpec())
			require.Equal(t, want, w.get(t, "/").body)
		})
	}
}

func TestRackBundlerGemfileVariable(t *testing.T) {
	t.Parallel()
	elsewhere, _ := bundledApp(t, map[string]string{"Other": "gem 'rack'\ngem 'sinatra'\n"})
	_, file := bundledApp(t, map[string]string{
		"config.ru": "require 'sinatra/base'\n" + showBundle, "Gemfile": missingGem,
	})
	env := func(value string) func(*spec) {
		return func(s *spec) { s.env = append(s.env, "BUNDLE_GEMFILE="+value) }
	}
	p := start(t, rackSpec(t, file, env(filepath.Join(elsewhere, "Other"))))
	require.Equal(t, elsewhere+" ", p.get(t, "/").body)

	_, err := startFailure(t, rackSpec(t, file, env("")))
	require.Contains(t, err.Message.Text, "no_such_gem_at_all")
}

// What Bundler says reaches the spawner, which finds advice by it.
func TestRackBundlerErrors(t *testing.T) {
	t.Parallel()

	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"missing gem": {
			map[string]string{"Gemfile": missingGem},
			[]string{"Bundler::GemNotFound", "no_such_gem_at_all"},
		},
		"broken Gemfile": {
			map[string]string{"Gemfile": "gem 'rack\n"},
			[]string{"Bundler::Dsl::DSLError", "unterminated string"},
		},
		"not in the bundle": {
			map[string]string{"Gemfile": "gem 'rack'\n", "config.ru": "require 'sinatra/base'"},
			[]string{"sinatra/base", "LoadError"},
		},
		"no Rack in the bundle": {
			map[string]string{"Gemfile": "gem 'rake'\n"},
			[]string{"cannot load Rack", `Add gem "rack" to the application's Gemfile`},
		},
		"other version than locked": {map[string]string{
			"Gemfile": "source 'https://rubygems.org'\ngem 'rack'\n",
			"Gemfile.lock": "GEM\n  remote: https://rubygems.org/\n  specs:\n    rack (1.0.0)\n\nPLATFORMS\n  " +
				"ruby\n\nDEPENDENCIES\n  rack\n",
		}, []string{"Bundler::GemNotFound", "rack-1.0.0"}},
		"own setup fails": {
			map[string]string{"config/setup_load_paths.rb": "raise 'no paths'"},
			[]string{"no paths", "setup_load_paths.rb"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, file := bundledApp(t, c.files)
			p, err := startFailure(t, rackSpec(t, file))
			require.Equal(t, 1, p.exitCode(t))

			_, forked := startPreloaderFailure(t, rackPreloaderSpec(t, file))
			for _, want := range c.want {
				require.Contains(t, err.Message.Text, want)
				require.Contains(t, forked.Message.Text, want)
			}
		})
	}
}

// defaultGems writes a bundle of every default gem of the Ruby that runs it, each with
// a version that no Ruby has, but for those that Ruby or Bundler have loaded before
// any program can choose.
const defaultGems = `
require "fileutils"
names = Gem::Specification.select(&:default_gem?).map(&:name).uniq - ["bundler"]
names.each do |name|
  FileUtils.mkdir_p("gems/#{name}/lib")
  File.write("gems/#{name}/#{name}.gemspec", "Gem::Specification.new { |s| s.name = #{name.inspect}; " \
    "s.version = '99.0'; s.summary = 's'; s.authors = ['a'] }")
end
loop do
  File.write("Gemfile", "gem 'rack'\n" + names.map { |name| "gem '#{name}', path: 'gems/#{name}'\n" }.join)
  FileUtils.rm_f("Gemfile.lock")
  said = IO.popen([RbConfig.ruby, "-e", "require 'bundler/setup'", err: [:child, :out]], &:read)
  break if $?.success?
  names.delete(said[/already activated (\S+)/, 1]) or abort(said)
end
puts names.size
`

// Whatever the loader needs of Ruby's own libraries, the application's bundle decides
// which version of them there is.
func TestRackBundlerChoosesDefaultGems(t *testing.T) {
	t.Parallel()
	root, file := bundledApp(t, map[string]string{
		"config.ru": `run ->(env) { [200, {}, [Gem.loaded_specs.values.count { |spec| spec.version.to_s == "99.0" }.to_s]] }`,
	})
	ruby := interpreters.Find(t, "ruby", os.Getenv("PASSENGER_TEST_RUBY"), "ruby")
	cmd := exec.CommandContext(t.Context(), ruby, "-e", defaultGems)
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	want := strings.TrimSpace(string(out))
	require.NotEqual(t, "0", want)

	require.Equal(t, want, start(t, rackSpec(t, file)).get(t, "/").body)
	w := startPreloader(t, rackPreloaderSpec(t, file)).spawn(t, rackWorkerSpec())
	require.Equal(t, want, w.get(t, "/").body)
}
