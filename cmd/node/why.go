package node

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
)

// reasoned are the commands that the audit log has a reason of, if one is given with --why. Two more want
// one, and have a flag of their own: dlq skip and subject forget.
var reasoned = []string{
	"archive run", "backup create", "backup restore",
	"cluster drain", "cluster move", "cluster rebalance", "cluster uncordon",
	"dlq edit", "dlq retry", "event export", "event import",
	"keys copy", "keys restore", "keys rewrap", "keys rotate",
	"projection cancel", "projection pause", "projection promote", "projection rebuild",
	"projection resume", "projection retire", "projection rewind", "projection rollback",
	"provision", "schema migrate", "subject export",
}

// addWhy gives the flag to all of them.
func (s *Session) addWhy(root *cobra.Command) {
	for _, path := range reasoned {
		cmd, _, err := root.Find(strings.Fields(path))
		if err != nil || cmd.CommandPath() != root.Name()+" "+path {
			panic("node: there is no command " + path)
		}
		cmd.Flags().StringVar(&s.flags.why, "why", "", "the `REASON`, for the audit log, which keeps it for ever")
		console.PerCall(cmd, "why")
	}
}
