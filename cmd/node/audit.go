package node

import (
	"context"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store/ledger"
)

func newAudit(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "See what operators did",
		Example: `{{name}} audit ls
{{name}} audit ls --since 720h --json`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newAuditList(s))
	return cmd
}

// auditFilter says which acts are wanted; what is empty wants all.
type auditFilter struct {
	since, until     string
	by, action, what string
}

func newAuditList(s *Session) *cobra.Command {
	var f auditFilter
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List what operators did, oldest first",
		Long: `Each act is there when it begins and when it is over; one that has a beginning
alone is still being done, or whoever did it could not say any more what came of
it. What ended with an error, and certainly had no effect, has "failed: CODE"; where
it may have taken effect all the same, in part perhaps, "unknown: CODE". A restore,
a migration and an import into a namespace that they make are there once that is
whole. It reads the log itself, and needs no node.

By whom an act was is what the NATS server's permissions or a token say: see --as.
Where nothing does, it is what was said, behind "unverified:". --by finds both.`,
		Example: `{{name}} audit ls
{{name}} audit ls --since 2006-01-02 --until 2006-02-01 --by ann
{{name}} audit ls --action 'dlq.*' --what accounts/17
{{name}} audit ls --jq 'select(.outcome | startswith("failed"))'
{{name}} audit ls --jq 'select(.outcome | startswith("unknown"))'`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.listActs(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "720h", "from this `TIME` on, or from so long ago, at most 10 years")
	flags.StringVar(&f.until, "until", "", "until this `TIME`, or until so long ago (default: now)")
	flags.StringVar(&f.by, "by", "", "only acts of this `NAME`; * stands for anything")
	flags.StringVar(&f.action, "action", "", "only this `ACTION`, such as dlq.skip; * stands for anything")
	flags.StringVar(&f.what, "what", "", "only what was done to this `NAME`; * stands for anything")
	console.PerCall(cmd, "since", "until", "by", "action", "what")
	return cmd
}

// auditYears is how long a span of time may be: each month of it takes some hundred questions.
const auditYears = 10

// span is the time that is wanted.
func (f auditFilter) span(now time.Time) (since, until time.Time, err error) {
	until = now.Add(time.Minute) // clocks differ
	if since, err = timeOf("--since", f.since, now); err == nil && f.until != "" {
		until, err = timeOf("--until", f.until, now)
	}
	switch {
	case err != nil:
	case until.Before(since):
		err = Usage("--until is before --since")
	case since.Before(until.AddDate(-auditYears, 0, 0)):
		err = Usage("--since %q: want at most %d years before --until, for each month is looked into", f.since, auditYears)
	}
	return since, until, err
}

// timeOf reads a flag that is a time, or how long ago.
func timeOf(flag, text string, now time.Time) (time.Time, error) {
	at, err := parseAt(text, now)
	if err != nil || at.Time.IsZero() {
		f := Usage("%s %q: want a time, or how long ago", flag, text)
		f.Fix = timeHelp
		return time.Time{}, f
	}
	return at.Time, nil
}

// wants returns what tells whether an act is wanted.
func (f auditFilter) wants() func(ledger.Act) bool {
	by, action, what := pattern(f.by), pattern(f.action), pattern(f.what)
	return func(a ledger.Act) bool {
		return (by(a.By) || by(strings.TrimPrefix(a.By, ledger.Unverified))) && action(a.Action) && what(a.What)
	}
}

// pattern matches all of a text, in which * stands for anything; an empty one matches everything.
func pattern(text string) func(string) bool {
	if text == "" {
		return func(string) bool { return true }
	}
	parts := strings.Split(text, "*")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	return regexp.MustCompile("^(?s:" + strings.Join(parts, ".*") + ")$").MatchString
}

func (s *Session) listActs(ctx context.Context, f auditFilter) error {
	since, until, err := f.span(time.Now())
	if err != nil {
		return err
	}
	log, err := openToRead(ctx, s)
	if err != nil {
		return err
	}
	wanted := f.wants()
	g := s.Grid("TIME", "ACTION", "WHAT", "BY", "WHY", "OUTCOME", "NODE").Fit("WHAT", "BY", "WHY")
	for a, err := range ledger.Acts(ctx, log, since, until) {
		switch {
		case err != nil:
			return err
		case !wanted(a):
		case s.JSON():
			err = s.Print(a)
		default:
			g.Add(s.When(a.At), a.Action, a.What, a.By, a.Why, a.Outcome, a.Node)
		}
		if err != nil {
			return err
		}
	}
	if s.JSON() {
		return nil
	}
	return g.Render("nothing of the kind was done")
}
