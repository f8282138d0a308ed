package node

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

// reasoned are the commands that the audit log has a reason of, if one is given with --why.
var reasoned = []string{
	"archive run", "backup create", "backup restore",
	"cluster drain", "cluster move", "cluster rebalance", "cluster uncordon",
	"dlq edit", "dlq retry", "dlq skip", "event export", "event import",
	"keys copy", "keys restore", "keys rewrap", "keys rotate",
	"projection cancel", "projection pause", "projection promote", "projection rebuild",
	"projection resume", "projection retire", "projection rewind", "projection rollback",
	"provision", "schema migrate", "subject export", "subject forget",
}

// unreasonable says of those that are not done without a reason what it is needed for.
var unreasonable = map[string]string{
	"dlq skip":       "--reason is needed: it is all that is left to explain what is missing",
	"subject forget": "--why is needed: the receipt and the audit log keep the reason",
}

// reasonFlag is another name of --why, where a command has it.
const reasonFlag = "reason"

// addWhy gives the flag to all of them.
func (s *Session) addWhy(root *cobra.Command) {
	for _, path := range reasoned {
		cmd, _, err := root.Find(strings.Fields(path))
		if err != nil || pathOf(cmd) != path {
			panic("node: there is no command " + path)
		}
		help := "the `REASON`, for the audit log, which keeps it for ever"
		if cmd.Flags().Lookup(reasonFlag) != nil {
			help = "the same as --" + reasonFlag
		}
		cmd.Flags().StringVar(&s.flags.why, "why", "", help)
		console.PerCall(cmd, "why")
	}
}

// pathOf is what a command is called after the program's name.
func pathOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// readReason has s.flags.why be the reason, by whichever flag it was given, before anything is done. A dry run
// has none: it is said that it is not kept.
func (s *Session) readReason(cmd *cobra.Command) error {
	path := pathOf(cmd)
	if !slices.Contains(reasoned, path) {
		return nil
	}
	flag := "why"
	if other := cmd.Flags().Lookup(reasonFlag); other != nil && other.Changed {
		if cmd.Flags().Changed(flag) {
			return Usage("--%s and --why are the same: give one of them", reasonFlag)
		}
		flag, s.flags.why = reasonFlag, other.Value.String()
	}
	why, err := ledger.Reason(s.flags.why)
	if err != nil {
		return notWhole(flag, err)
	}
	if need := unreasonable[path]; why == "" && need != "" {
		return Usage("%s", need)
	}
	s.flags.why = why
	if dry := cmd.Flags().Lookup("dry-run"); dry != nil && dry.Value.String() == "true" {
		s.reasonNotKept()
	}
	return nil
}

// notWhole is the failure for a reason that the audit log would not keep whole.
func notWhole(flag string, err error) error {
	large, ok := errors.AsType[*store.TooLargeError](err)
	if !ok {
		return err
	}
	return &Failure{
		Code: gateway.CodeTooLarge, Exit: console.ExitUsage, Err: err,
		What: fmt.Sprintf("the reason of --%s has %s, and the audit log keeps %s", flag, console.Plural(large.Size, "byte"), console.Plural(large.Limit, "byte")),
		Fix:  "give a shorter one, such as the number of the ticket that has the longer",
	}
}

// reasonNotKept says so of a reason that was given for what is no act: whoever gave it thinks that it is kept. It is
// said once.
func (s *Session) reasonNotKept() {
	if s.flags.why != "" {
		s.Logger().Warn("nothing is recorded of this: the reason is not kept")
	}
	s.flags.why = ""
}
