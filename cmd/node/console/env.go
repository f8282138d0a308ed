package console

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noEnv marks a flag of one call, such as a command id, which a forgotten
// variable must not set.
const noEnv = "no-env"

// ReadEnv sets the flags that were not given from the variable <prefix><FLAG>, or
// else from that which others has for the flag. The error is a [*Failure].
func ReadEnv(c *Console, cmd *cobra.Command, prefix string, others map[string]string) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Annotations[noEnv] != nil || first != nil {
			return
		}
		name := prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := c.Env(name)
		if value == "" {
			name = others[f.Name]
			value = c.Env(name)
		}
		if value == "" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			first = &Failure{Code: CodeUsage, Exit: ExitUsage, What: fmt.Sprintf("environment variable %s is %q", name, value), Why: err.Error(), Err: err}
		}
	})
	return first
}

// PerCall marks flags as those of one call, which no variable sets.
func PerCall(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[noEnv] = []string{"true"}
	}
}
