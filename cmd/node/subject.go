package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

func newSubject(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subject",
		Short: "Forget persons, and see what is held about them",
		Example: `{{name}} subject forget ID --why "asked for it"
{{name}} subject export ID --kek file:kek
{{name}} subject ls --forgotten`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newSubjectForget(s), newSubjectExport(s), newSubjectShow(s), newSubjectList(s))
	return cmd
}

// forgetTime is how long forget waits for all nodes when nobody says otherwise.
const forgetTime = time.Minute

func newSubjectForget(s *Session) *cobra.Command {
	var by, id string
	cmd := &cobra.Command{
		Use:   "forget ID",
		Short: "Make everything that is held about a person unreadable, for ever",
		Long: `The key of the data subject is given up and erased, all nodes drop it from memory,
views are told, and the audit log says who wanted it and why. What was sealed under
the key, in the log, snapshots, views, archives and backups, can then be read by
nobody. It waits up to --timeout, by default a minute. What was begun is finished by the
nodes, or by the same command. A subject that is seen again later gets another key.`,
		Example: `{{name}} subject forget ID --why "asked for it on May 3rd"
{{name}} subject forget ID --why "retention" --yes --json`,
		Args: console.Args(1, 1),
	}
	agreed := console.AddConsent(cmd)
	cmd.Flags().StringVar(&id, "id", "", "`UUID` of the erasure, for a request that may be sent twice")
	console.PerCall(cmd, "id")
	addBy(cmd, &by)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := forgetRequest(args[0], s.flags.why, s.by(by), id)
		if err != nil {
			return err
		}
		return s.forget(cmd, r, agreed)
	}
	return cmd
}

func forgetRequest(subject, why, by, id string) (r privacy.Request, err error) {
	r = privacy.Request{Subject: subject, Why: why, By: by}
	if _, err := store.EncodeToken(subject); err != nil {
		return r, Usage("data subject: %v", err)
	}
	if id == "" {
		r.ID = uuid.New() // before the first try, so that each is of the same erasure
		return r, nil
	}
	if r.ID, err = uuid.Parse(id); err != nil {
		return r, Usage("--id %q: want a UUID", id)
	}
	return r, nil
}

func (s *Session) forget(cmd *cobra.Command, r privacy.Request, agreed *console.Consent) error {
	client, err := s.Client(cmd.Context())
	if err != nil {
		return err
	}
	before, err := s.subject(cmd.Context(), client, r.Subject)
	if err != nil {
		return err
	}
	if ok, err := s.Agree(cmd.Context(), agreed, r.Subject, "make everything that is held about %s unreadable%s", r.Subject, already(before)); !ok {
		return err
	}
	ctx, cancel := s.waiting(cmd, forgetTime)
	defer cancel()
	progress := s.Progress()
	progress.Show("forgetting %s: waiting for all nodes", console.Printable(r.Subject))
	receipt, err := client.Forget(ctx, r)
	progress.End()
	if err != nil {
		return s.forgetFailure(r, err)
	}
	return s.printReceipt(receipt)
}

// already says of a subject that has no key what was done before.
func already(g gateway.Subject) string {
	switch n := len(g.Erased); {
	case g.Key != "":
		return " (key " + g.Key + ")"
	case n == 0:
		return " (nothing is sealed for it)"
	default:
		return " (it was forgotten on " + g.Erased[n-1].At.Format(time.RFC3339) + ")"
	}
}

// subject asks what is kept of a subject's keys.
func (s *Session) subject(ctx context.Context, client *gateway.Client, id string) (gateway.Subject, error) {
	found, err := request(ctx, s, "subject.get", func(ctx context.Context) (gateway.Subject, error) { return client.Subject(ctx, id) })
	return found, s.subjectFailure(ctx, client, err)
}

// subjectFailure tells a system without personal data from one that is not there.
func (s *Session) subjectFailure(ctx context.Context, client *gateway.Client, err error) error {
	if !errors.Is(err, nats.ErrNoResponders) {
		return err
	}
	if _, asked := request(ctx, s, "info", client.Info); asked != nil {
		return err
	}
	return &Failure{
		Code: codeNoKeys, Exit: console.ExitNotFound, What: "namespace " + s.Namespace() + " has no personal data",
		Why: "its nodes run an application without personal fields, and without --" + kekFlag, Err: err,
	}
}

// forgetFailure says how to go on.
func (s *Session) forgetFailure(r privacy.Request, err error) error {
	if !errors.Is(err, gateway.ErrForgetUnfinished) && !errors.Is(err, store.ErrUnknown) {
		return err
	}
	f := &Failure{Code: gateway.CodeForgetUnfinished, Exit: console.ExitUnavailable, What: r.Subject + " is not forgotten everywhere yet", Why: err.Error(), Err: err}
	f.Fix = "the nodes go on with it; the same command with --id " + r.ID.String() + " waits for that and has the receipt"
	if errors.Is(err, store.ErrUnknown) {
		f.Code = gateway.CodeUnknownOutcome
	}
	return f
}

func (s *Session) printReceipt(r privacy.Receipt) error {
	if s.JSON() {
		return s.Print(r)
	}
	y := s.Style(s.Out())
	key := "it had no key"
	if r.Key != "" {
		key = "key " + r.Key + " is erased"
	}
	if _, err := fmt.Fprintf(s.Out(), "%s is forgotten: %s\nerasure %s   %s   by %s: %s\n", y.Strong(console.Printable(r.Subject)), key,
		r.ID, r.At.Format(time.RFC3339Nano), console.Printable(r.By), console.Printable(r.Why)); err != nil {
		return err
	}
	if len(r.Steps) == 0 {
		_, err := fmt.Fprintf(s.Out(), "all was done before, on %s\n", r.Finished.Format(time.RFC3339Nano))
		return err
	}
	g := s.Grid("STEP", "TAKEN", "MEANING")
	for _, taken := range r.Steps {
		g.Add(taken.Step, taken.At.Format(time.RFC3339Nano), meaningOf[taken.Step])
	}
	return g.Render("")
}

// meaningOf says what a step has done.
var meaningOf = map[privacy.Step]string{
	privacy.StepFence:  "nothing is sealed under the key any more",
	privacy.StepErase:  "the key is gone from the key store",
	privacy.StepPurge:  "no node has it in memory",
	privacy.StepNotice: "the log tells the views",
	privacy.StepAudit:  "the audit log has it",
	privacy.StepDone:   "nothing is left to do",
}

func newSubjectShow(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show whether a person has a key, and when it was forgotten",
		Example: `{{name}} subject show ID
{{name}} subject show ID --jq .erased`,
		Args: console.Args(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := s.Client(cmd.Context())
			if err != nil {
				return err
			}
			found, err := s.subject(cmd.Context(), client, args[0])
			if err != nil {
				return err
			}
			if found.Key == "" && len(found.Erased) == 0 {
				return fmt.Errorf("data subject %q: %w", args[0], store.ErrNotFound)
			}
			return s.printSubject(found)
		},
	}
}

func (s *Session) printSubject(found gateway.Subject) error {
	if s.JSON() {
		return s.Print(found)
	}
	key := "no key: nothing is sealed for it"
	if found.Key != "" {
		key = fmt.Sprintf("key %s, wrapped by %s", found.Key, found.WrappedBy)
	}
	if _, err := fmt.Fprintf(s.Out(), "%s   %s\n", s.Style(s.Out()).Strong(console.Printable(found.Subject)), console.Printable(key)); err != nil || len(found.Erased) == 0 {
		return err
	}
	g := s.erasures()
	for _, e := range found.Erased {
		g.Add(erasureRow(found.Subject, e)...)
	}
	return g.Render("")
}

func (s *Session) erasures() *console.Grid {
	return s.Grid("SUBJECT", "FORGOTTEN", "DONE", "BY", "WHY", "ERASURE", "KEY")
}

func erasureRow(subject string, e privacy.Receipt) []any {
	done := "not yet"
	if e.Done {
		done = e.Finished.Format(time.RFC3339)
	}
	return []any{subject, e.At.Format(time.RFC3339), done, e.By, e.Why, e.ID, e.Key}
}

func newSubjectList(s *Session) *cobra.Command {
	var forgotten bool
	cmd := &cobra.Command{
		Use:   "ls --forgotten",
		Short: "List the persons who were forgotten",
		Long: `With --json, one erasure a line. A backup of the keys that is older than an erasure
still has the key: the list says which to erase again.`,
		Example: `{{name}} subject ls --forgotten
{{name}} subject ls --forgotten --jq 'select(.done | not)'`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !forgotten {
				return Usage("subject ls lists those who were forgotten: say --forgotten")
			}
			return s.listForgotten(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&forgotten, "forgotten", false, "those who were forgotten")
	console.PerCall(cmd, "forgotten")
	return cmd
}

func (s *Session) listForgotten(ctx context.Context) error {
	client, err := s.Client(ctx)
	if err != nil {
		return err
	}
	g := s.erasures()
	for found, err := range client.Forgotten(ctx) {
		if err != nil {
			return s.subjectFailure(ctx, client, err)
		}
		for _, e := range found.Erased {
			if !s.JSON() {
				g.Add(erasureRow(found.Subject, e)...)
				continue
			}
			if err := s.Print(e); err != nil {
				return err
			}
		}
	}
	if s.JSON() {
		return nil
	}
	return g.Render("nobody was forgotten")
}
