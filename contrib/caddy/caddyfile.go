package passengercaddy

import (
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/dustin/go-humanize"
)

func registerDirectives() {
	httpcaddyfile.RegisterGlobalOption("passenger", parseGlobal)
	httpcaddyfile.RegisterDirective("passenger", parseSite)
	httpcaddyfile.RegisterDirectiveOrder("passenger", httpcaddyfile.Before, "reverse_proxy")
}

func parseGlobal(d *caddyfile.Dispenser, _ any) (any, error) {
	a := new(App)
	if err := a.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}

	return httpcaddyfile.App{Name: "passenger", Value: caddyconfig.JSON(a, nil)}, nil
}

// parseSite takes one argument as the application's directory, as Caddy's root does, and the first
// of two as a matcher.
func parseSite(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // its name
	args := h.CountRemainingArgs()
	first := ""
	if args > 0 {
		h.NextArg()
		first = h.Val()
	}

	h.Reset()

	var matchers caddy.ModuleMap
	if args > 1 || first == "*" || strings.HasPrefix(first, "@") {
		h.Next()
		var err error
		if matchers, err = h.ExtractMatcherSet(); err != nil {
			return nil, err
		}
	}

	site := new(Handler)
	if err := site.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}

	return h.NewRoute(matchers, site), nil
}

// setter reads the arguments of an option.
type setter func(d *caddyfile.Dispenser) error

// UnmarshalCaddyfile reads the global option:
//
//	passenger {
//		max_pool_size  <number>
//		pool_idle_time <duration>
//		user_switching on|off
//		default_user   <name>
//		default_group  <name>
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // its name
	if d.NextArg() {
		return d.Errf("the global option passenger has no argument %q: applications are named by the directive of "+
			"this name", d.Val())
	}

	return readBlock(d, map[string]setter{
		"max_pool_size":  number(&a.MaxPoolSize),
		"pool_idle_time": duration(&a.PoolIdleTime),
		"user_switching": text(&a.UserSwitching),
		"default_user":   text(&a.DefaultUser),
		"default_group":  text(&a.DefaultGroup),
	})
}

// UnmarshalCaddyfile reads the directive: the application's directory and a block of options, which
// are named like the fields of Config in JSON. README.md lists them.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // its name
	if d.NextArg() {
		h.Root = d.Val()
	}

	if d.NextArg() {
		return d.Errf("passenger has one argument, the application's directory, and no second one, %q", d.Val())
	}

	return readBlock(d, map[string]setter{
		"root":                        text(&h.Root),
		"name":                        text(&h.Name),
		"type":                        text(&h.Type),
		"startup_file":                text(&h.StartupFile),
		"command":                     list(&h.Command),
		"environment":                 text(&h.Environment),
		"env":                         pair(&h.Env),
		"env_files":                   list(&h.EnvFiles),
		"request_env":                 pair(&h.RequestEnv),
		"user":                        text(&h.User),
		"group":                       text(&h.Group),
		"base_uri":                    text(&h.BaseURI),
		"ruby":                        text(&h.Ruby),
		"python":                      text(&h.Python),
		"nodejs":                      text(&h.NodeJS),
		"asgi_server":                 text(&h.ASGIServer),
		"php_server":                  text(&h.PHPServer),
		"php_ini":                     list(&h.PHPIni),
		"spawn_method":                text(&h.SpawnMethod),
		"threads":                     number(&h.Threads),
		"concurrency":                 number(&h.Concurrency),
		"start_timeout":               duration(&h.StartTimeout),
		"min_processes":               number(&h.MinProcesses),
		"max_processes":               number(&h.MaxProcesses),
		"max_requests":                number(&h.MaxRequests),
		"max_request_time":            duration(&h.MaxRequestTime),
		"max_queue_size":              number(&h.MaxQueueSize),
		"max_queue_time":              duration(&h.MaxQueueTime),
		"memory_limit":                size(&h.MemoryLimit),
		"health_path":                 text(&h.HealthPath),
		"health_status":               text(&h.HealthStatus),
		"restart_dir":                 text(&h.RestartDir),
		"max_request_body":            size(&h.MaxRequestBody),
		"stream_requests":             flag(&h.StreamRequests),
		"sticky_sessions":             flag(&h.StickySessions),
		"sticky_cookie":               text(&h.StickyCookie),
		"unlimited_concurrency_paths": list(&h.UnlimitedConcurrencyPaths),
		"error_details":               text(&h.ErrorDetails),
		"disable_cache":               flag(&h.DisableCache),
	})
}

func readBlock(d *caddyfile.Dispenser, options map[string]setter) error {
	for d.NextBlock(0) {
		name := d.Val()
		set, ok := options[name]
		if !ok {
			return d.Errf("passenger has no option %q: see the list in its README", name)
		}

		if err := set(d); err != nil {
			return err
		}

		if d.NextArg() {
			return d.Errf("%s has too many arguments: %q is one too many", name, d.Val())
		}
	}

	return nil
}

// argument returns the only argument of the option.
func argument(d *caddyfile.Dispenser) (option, value string, err error) {
	option = d.Val()
	if !d.NextArg() {
		return "", "", d.Errf("%s has no value: write it behind the name", option)
	}

	return option, d.Val(), nil
}

func text(to *string) setter {
	return func(d *caddyfile.Dispenser) (err error) {
		_, *to, err = argument(d)
		return err
	}
}

func number(to *int) setter {
	return func(d *caddyfile.Dispenser) error {
		option, value, err := argument(d)
		if err != nil {
			return err
		}

		if *to, err = strconv.Atoi(value); err != nil {
			return d.Errf("%s is %q: it must be a number", option, value)
		}

		return nil
	}
}

func duration(to *caddy.Duration) setter {
	return func(d *caddyfile.Dispenser) error {
		option, value, err := argument(d)
		if err != nil {
			return err
		}

		var parsed time.Duration
		if parsed, err = caddy.ParseDuration(value); err != nil {
			return d.Errf("%s is %q: it must be a time with a unit, such as 30s or 5m", option, value)
		}

		*to = caddy.Duration(parsed)

		return nil
	}
}

func size(to *int64) setter {
	return func(d *caddyfile.Dispenser) error {
		option, value, err := argument(d)
		if err != nil {
			return err
		}

		parsed, err := humanize.ParseBytes(value)
		if err != nil || parsed > 1<<62 {
			return d.Errf("%s is %q: it must be a size, such as 100MB or 1GiB", option, value)
		}

		*to = int64(parsed)

		return nil
	}
}

// flag is set by the name of the option alone.
func flag(to *bool) setter {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		*to = true
		if !d.NextArg() {
			return nil
		}

		switch d.Val() {
		case "on":
		case "off":
			*to = false
		default:
			return d.Errf("%s is %q: use on or off", option, d.Val())
		}

		return nil
	}
}

func list(to *[]string) setter {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		values := d.RemainingArgs()
		if len(values) == 0 {
			return d.Errf("%s has no value: write it behind the name", option)
		}

		*to = append(*to, values...)

		return nil
	}
}

func pair(to *map[string]string) setter {
	return func(d *caddyfile.Dispenser) error {
		option := d.Val()
		values := d.RemainingArgs()
		if len(values) != 2 {
			return d.Errf("%s has %d arguments: it needs a name and a value", option, len(values))
		}

		if *to == nil {
			*to = map[string]string{}
		}

		(*to)[values[0]] = values[1]

		return nil
	}
}

var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
