package node

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
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

// readReason has s.flags.why be the reason, by whichever flag it was given, before anything is done.
func (s *Session) readReason(cmd *cobra.Command) error {
	path := pathOf(cmd)
	if !slices.Contains(reasoned, path) {
		return nil
	}
	if other := cmd.Flags().Lookup(reasonFlag); other != nil && other.Changed {
		if cmd.Flags().Changed("why") {
			return Usage("--%s and --why are the same: give one of them", reasonFlag)
		}
		s.flags.why = other.Value.String()
	}
	why, err := reason(s.flags.why)
	if need := unreasonable[path]; err == nil && why == "" && need != "" {
		err = Usage("%s", need)
	}
	s.flags.why = why
	return err
}

// reasonNotKept says so of a reason that was given for what is no act: whoever gave it thinks that it is kept.
func (s *Session) reasonNotKept() {
	if s.flags.why != "" {
		s.Logger().Warn("nothing is recorded of this: the reason is not kept")
	}
}

// reason is what was given as one, on one line; empty if that is blank. One that would not be kept whole is
// refused: the error is a [*store.TooLargeError].
func reason(given string) (string, error) {
	text := strings.Join(strings.Fields(given), " ")
	if len(text) > ledger.MaxWhyBytes {
		return "", &store.TooLargeError{What: "reason", Size: len(text), Limit: ledger.MaxWhyBytes}
	}
	return text, nil
}
