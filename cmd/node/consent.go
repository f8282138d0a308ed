package node

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// consent is how a person agrees to a change: it is shown and not made with
// --dry-run, and what cannot be taken back is asked about unless --yes is given.
type consent struct{ yes, dryRun bool }

// addConsent gives a command the flags of a consent.
func addConsent(cmd *cobra.Command) *consent {
	c := &consent{}
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "say what would be done, and change nothing")
	cmd.Flags().BoolVarP(&c.yes, "yes", "y", false, "do not ask")
	perCall(cmd, "dry-run", "yes")
	return c
}

// wouldDo is what --dry-run prints.
type wouldDo struct {
	DryRun bool   `json:"dry_run"`
	Would  string `json:"would"`
}

// agree reports whether to go on with what is described, such as "drop the model
// a_v1". If it cannot be taken back, word must be typed by somebody; empty: it can.
func (s *Session) agree(ctx context.Context, c *consent, word, format string, args ...any) (bool, error) {
	what := fmt.Sprintf(format, args...)
	switch {
	case c.dryRun && s.JSON():
		return false, s.Print(wouldDo{DryRun: true, Would: what})
	case c.dryRun:
		_, err := fmt.Fprintf(s.Out(), "would %s\n", printable(what))
		return false, err
	case c.yes || word == "":
		return true, nil
	case !isTerminal(s.In()) || !isTerminal(s.Err()):
		f := Usage("this would %s", what)
		f.Why, f.Fix = "it cannot be taken back, and there is nobody to ask", "say --yes; see first what would be done: --dry-run"
		return false, f
	}
	fmt.Fprintf(s.Err(), "This would %s.\nIt cannot be taken back. Type %s to go on: ", printable(what), s.style(s.Err()).strong(printable(word)))
	return s.typed(ctx, word)
}

// typed reads a line and reports whether it is word.
func (s *Session) typed(ctx context.Context, word string) (bool, error) {
	line := make(chan string, 1)
	go func() { // ends with the process if nobody types anything
		text, _ := bufio.NewReader(s.In()).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case text := <-line:
		if text != word {
			return false, Usage("%q was typed and not %q; nothing was done", text, word)
		}
		return true, nil
	case <-ctx.Done():
		fmt.Fprintln(s.Err())
		return false, ctx.Err()
	}
}
