package console

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Consent is how a person agrees to a change: it is shown and not made with
// --dry-run, and what cannot be taken back is asked about unless --yes is given.
type Consent struct {
	// Yes is --yes: the change may be made without a question.
	Yes bool
	// DryRun is --dry-run: the change is to be shown, and not made.
	DryRun bool
}

// AddConsent gives a command the flags of a consent, which fill it in.
func AddConsent(cmd *cobra.Command) *Consent {
	c := &Consent{}
	cmd.Flags().BoolVar(&c.DryRun, "dry-run", false, "say what would be done, and change nothing")
	cmd.Flags().BoolVarP(&c.Yes, "yes", "y", false, "do not ask")
	PerCall(cmd, "dry-run", "yes")
	return c
}

// WouldDo is what --dry-run prints.
type WouldDo struct {
	DryRun bool   `json:"dry_run"`
	Would  string `json:"would"`
}

// Agree reports whether to go on with what is described, such as "drop the
// model a_v1". If it cannot be taken back, word must be typed by somebody; empty: it
// can. The error is a [*Failure], or ctx's own.
func (c *Console) Agree(ctx context.Context, given *Consent, word, format string, args ...any) (bool, error) {
	what := fmt.Sprintf(format, args...)
	switch {
	case given.DryRun && c.JSON():
		return false, c.Print(WouldDo{DryRun: true, Would: what})
	case given.DryRun:
		_, err := fmt.Fprintf(c.Out(), "would %s\n", Printable(what))
		return false, err
	case given.Yes || word == "":
		return true, nil
	case !IsTerminal(c.In()) || !IsTerminal(c.Err()):
		f := Usage("this would %s", what)
		f.Why, f.Fix = "it cannot be taken back, and there is nobody to ask", "say --yes; see first what would be done: --dry-run"
		return false, f
	}
	fmt.Fprintf(c.Err(), "This would %s.\nIt cannot be taken back. Type %s to go on: ", Printable(what), c.Style(c.Err()).Strong(Printable(word)))
	return c.typed(ctx, word)
}

// typed reads a line and reports whether it is word.
func (c *Console) typed(ctx context.Context, word string) (bool, error) {
	line := make(chan string, 1)
	go func() { // ends with the process if nobody types anything
		text, _ := bufio.NewReader(c.In()).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case text := <-line:
		if text != word {
			return false, Usage("%q was typed and not %q; nothing was done", text, word)
		}
		return true, nil
	case <-ctx.Done():
		fmt.Fprintln(c.Err())
		return false, ctx.Err()
	}
}
