package agent

import (
	"fmt"

	"github.com/gopassenger/passenger/internal/companion"
)

var companionOptions = func() []Option {
	return []Option{
		option("companions", perApp, func(c *Config) any { return &c.Companions },
			"the `object` of programs that run beside the application", parsed(companion.Parse), secretValue,
			detail("By their names; see [companions](companions.md). On the command line and in the environment it is "+
				"JSON.")),
		option("procfile_companions", perApp, func(c *Config) any { return &c.ProcfileCompanions },
			"run the lines of the Procfile beside web and release", checked((*Config).checkProcfile),
			detail("As [companions](companions.md). One in `companions` takes the place of the line with its name.")),
	}
}

func (c *Config) checkProcfile() error {
	if _, err := c.companionsOf(c.Dir); err != nil {
		return fmt.Errorf("procfile_companions: %w", err)
	}

	return nil
}

// companionsOf returns the companions of the release in the directory root.
func (c *Config) companionsOf(root string) (companion.Specs, error) {
	if !c.ProcfileCompanions {
		return c.Companions, nil
	}

	return companion.WithProcfile(c.Companions, root)
}
