package node

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

// retryTime is how long the events of one stream may take when nobody says
// otherwise.
const retryTime = time.Minute

func newDLQRetry(s *Session) *cobra.Command {
	var all bool
	var match string
	cmd := &cobra.Command{
		Use:   "retry ID | --all | --match VIEW",
		Short: "Apply what waits, in order, once what stood in the way is repaired",
		Long: `The events of the stream are applied in order, from the one that it waits at. If
one fails again the stream waits at that one, and the exit code is 4.`,
		Example: `{{name}} dlq retry ID
{{name}} dlq retry --match VIEW --dry-run
{{name}} dlq retry --all --json`,
		Args:              console.Args(0, 1),
		ValidArgsFunction: completeLetters(s),
	}
	agreed := console.AddConsent(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "retry the dead letters of all views")
	cmd.Flags().StringVar(&match, "match", "", "retry the dead letters of this `VIEW`")
	console.PerCall(cmd, "all", "match")
	_ = cmd.RegisterFlagCompletionFunc("match", completeAnyViews(s))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if count(len(args) == 1, all, match != "") != 1 {
			return Usage("want one of: an ID, --all, --match VIEW")
		}
		client, err := s.Client(cmd.Context())
		if err != nil {
			return err
		}
		r := retrying{session: s, cmd: cmd, agreed: agreed}
		if len(args) == 1 {
			o, l, err := s.findLetter(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			if err := r.retry(o, l); err != nil {
				return err
			}
			return r.outcome()
		}
		var found []parkedLetter // first: a retry changes what there is to walk through
		err = s.eachLetter(cmd.Context(), client, match, func(o gateway.Operator, l projector.DeadLetter) error {
			found = append(found, parkedLetter{o, l})
			return nil
		})
		if err != nil {
			return err
		}
		for _, p := range found {
			if err := r.retry(p.operator, p.letter); err != nil {
				return err
			}
		}
		if len(found) == 0 {
			s.reasonNotKept()
			if !s.JSON() {
				fmt.Fprintln(s.Out(), "nothing is parked")
			}
		}
		return r.outcome()
	}
	return cmd
}

// parkedLetter is a dead letter and who can repair it.
type parkedLetter struct {
	operator gateway.Operator
	letter   projector.DeadLetter
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// retrying is one call of retry.
type retrying struct {
	session *Session
	cmd     *cobra.Command
	agreed  *console.Consent
	still   int // letters that are still parked
}

// retry retries one letter. One that somebody else repaired meanwhile is no
// failure.
func (r *retrying) retry(o gateway.Operator, l projector.DeadLetter) error {
	s := r.session
	if ok, err := s.Agree(r.cmd.Context(), r.agreed, "", "retry %s: %s from version %d on, %s", l.ID, l.Stream, l.At, l.Model); !ok {
		return err
	}
	ctx, cancel := s.waiting(r.cmd, retryTime)
	defer cancel()
	left, err := o.Retry(ctx, l.ID)
	if errors.Is(err, projector.ErrNoLetter) {
		left, err = nil, nil
	}
	if err != nil {
		return err
	}
	if left != nil {
		r.still++
	}
	return s.printReleased(l, left, "applied")
}

// outcome fails if letters are still parked.
func (r *retrying) outcome() error {
	if r.still == 0 {
		return nil
	}
	s := r.session
	return &Failure{
		Code: codeStillParked, Exit: console.ExitConflict, What: console.Plural(r.still, "stream") + " still parked",
		Why: "an event of it failed again", Fix: fmt.Sprintf("look: %[1]s dlq get ID; then edit or skip the event: %[1]s dlq --help", s.app.Name),
	}
}

// releasedLetter is what retry and skip print of a letter as JSON.
type releasedLetter struct {
	ID       string                `json:"id"`
	Model    string                `json:"model"`
	Stream   string                `json:"stream"`
	Released bool                  `json:"released"`
	Letter   *projector.DeadLetter `json:"letter,omitempty"` // as it is now
}

// printReleased says what became of a letter; did is what was done to its event.
func (s *Session) printReleased(l projector.DeadLetter, left *projector.DeadLetter, did string) error {
	if s.JSON() {
		return s.Print(releasedLetter{ID: l.ID, Model: l.String(), Stream: l.Stream.String(), Released: left == nil, Letter: left})
	}
	text := fmt.Sprintf("%s   %s   %s: %s; nothing of it waits any more", l.ID, l.Model, l.Stream, did)
	if left != nil {
		text = fmt.Sprintf("%s   %s   %s: still parked, at version %d: %s", left.ID, l.Model, l.Stream, left.At, left.Error)
	}
	_, err := fmt.Fprintln(s.Out(), console.Printable(text))
	return err
}

func newDLQSkip(s *Session) *cobra.Command {
	var by string
	cmd := &cobra.Command{
		Use:   "skip ID --reason TEXT",
		Short: "Leave an event out of a view for good, and go on with its stream",
		Long: `The event that the stream waits at is left out of this view; the log keeps it. Who
did that and why is recorded: see dlq skipped, and audit ls. Then the later events of
the stream are applied, as by dlq retry.`,
		Example: `{{name}} dlq skip ID --reason 'sent twice by the old importer' --dry-run
{{name}} dlq skip ID --reason 'sent twice by the old importer' --yes`,
		Args:              console.Args(1, 1),
		ValidArgsFunction: completeLetters(s),
	}
	agreed := console.AddConsent(cmd)
	cmd.Flags().String(reasonFlag, "", "why, in a few words; it is recorded")
	console.PerCall(cmd, reasonFlag)
	addBy(cmd, &by)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := s.Client(cmd.Context())
		if err != nil {
			return err
		}
		o, l, err := s.findLetter(cmd.Context(), client, args[0])
		if err != nil {
			return err
		}
		ok, err := s.Agree(cmd.Context(), agreed, l.View, "leave %s version %d (%s) out of %s for good", l.Stream, l.At, l.Event, l.Model)
		if !ok {
			return err
		}
		ctx, cancel := s.waiting(cmd, retryTime)
		defer cancel()
		left, err := o.Skip(ctx, l.ID, l.At, s.flags.why, s.by(by))
		if err != nil {
			return err
		}
		if err := s.printReleased(l, left, fmt.Sprintf("version %d is left out", l.At)); err != nil {
			return err
		}
		r := retrying{session: s}
		if left != nil {
			r.still = 1
		}
		return r.outcome()
	}
	return cmd
}

// addBy adds the flag that says who repairs something.
func addBy(cmd *cobra.Command, by *string) {
	cmd.Flags().StringVar(by, "by", "", "who does this, for the record (default: that of --as, else user@host)")
}

// by is who works here, as they say: whoever writes it down knows whether that is certain.
func (s *Session) by(given string) string {
	if who := cmp.Or(given, s.flags.as); who != "" {
		return who
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return cmp.Or(s.Env("USER"), accountName(), "unknown") + "@" + host
}

// accountName is that of the account that the process runs under, empty if it has none: in a container or a
// timer nobody has set USER.
func accountName() string {
	account, err := user.Current()
	if err != nil {
		return ""
	}
	return account.Username
}
