package node

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// natsVariables are the environment variables of the nats command line, with
// the flags that they stand for here.
var natsVariables = map[string]string{
	"server":  "NATS_URL",
	"context": "NATS_CONTEXT",
	"creds":   "NATS_CREDS",
	"nkey":    "NATS_NKEY",
	"tlscert": "NATS_CERT",
	"tlskey":  "NATS_KEY",
	"tlsca":   "NATS_CA",
	"timeout": "NATS_TIMEOUT",
}

// noEnv marks a flag of one call, such as a command id, which a forgotten
// variable must not set.
const noEnv = "no-env"

// readEnv sets the flags that were not given from ANNALS_<FLAG>, or else from
// the variable that the nats command line has for it.
func readEnv(cmd *cobra.Command, env func(string) string) error {
	var first error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Annotations[noEnv] != nil || first != nil {
			return
		}
		name := "ANNALS_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := env(name)
		if value == "" {
			name = natsVariables[f.Name]
			value = env(name)
		}
		if value == "" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			first = &Failure{Code: codeUsage, Exit: exitUsage, What: fmt.Sprintf("environment variable %s is %q", name, value), Why: err.Error(), Err: err}
		}
	})
	return first
}

// perCall marks flags as those of one call.
func perCall(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[noEnv] = []string{"true"}
	}
}
