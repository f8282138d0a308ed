package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
)

func newKeys(s *Session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Look after the keys of personal data",
		Long: `Each data subject has a key. These are kept in the namespace, encrypted by a wrapping
key that is not: --kek says where that is.`,
		Example: `{{name}} keys generate kek
{{name}} keys ls
{{name}} keys rotate --kek file:kek`,
		Args: cobra.ArbitraryArgs,
		RunE: console.Group,
	}
	cmd.AddCommand(newKeysGenerate(s), newKeysList(s), newKeysRotate(s), newKeysRewrap(s), newKeysCopy(s), newKeysRestore(s))
	return cmd
}

func newKeysGenerate(s *Session) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "generate FILE",
		Short: "Add a wrapping key to a file, as the one that is used from then on",
		Long: `The file is made if it is not there, with mode 0600. Older keys stay in it: what is
wrapped by them is not by the new one before keys rotate. Keep a copy of the file, and
not where the backups of the data are: without it, all personal data are lost, and
with it, they can be read.`,
		Example: `{{name}} keys generate kek
{{name}} keys generate kek --name spring`,
		Args: console.Args(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			key := cmp.Or(name, newKekName(time.Now()))
			if err := privacy.GenerateFile(args[0], key); err != nil {
				return &Failure{Code: codeKek, Exit: console.ExitUsage, What: "no key was made", Why: err.Error(), Err: err}
			}
			if s.JSON() {
				return s.Print(map[string]string{"file": args[0], "name": key})
			}
			_, err := fmt.Fprintf(s.Out(), "%s has the key %s: --%s file:%s\n", console.Printable(args[0]), key, kekFlag, console.Printable(args[0]))
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` of the key (default: made of the time and chance)")
	console.PerCall(cmd, "name")
	return cmd
}

// newKekName is one that no other key has: files that were made in the same second are given
// to the nodes of one namespace, where a name is one key.
func newKekName(at time.Time) string {
	return fmt.Sprintf("k%s-%x", at.UTC().Format("20060102t150405"), uuid.New().NodeID()[:3])
}

// keyCount is how many subjects' keys are wrapped by one key.
type keyCount struct {
	WrappedBy string    `json:"wrapped_by"`
	Subjects  int       `json:"subjects"`
	Oldest    time.Time `json:"oldest"`
	Current   bool      `json:"current,omitempty"`
	// Next says that it is the last one in what --kek names, and not current yet.
	Next bool `json:"next,omitempty"`
	// Settled is, for the current one, from when on no node stores a key that is wrapped
	// by the one before.
	Settled time.Time `json:"settled,omitzero"`
}

func newKeysList(s *Session) *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List the wrapping keys, and how many subjects' keys each of them wraps",
		Long: `The current one is that which all nodes wrap new keys by: keys rewrap and keys rotate
make the last one of --kek current. One that wraps nothing any more can be destroyed,
once the minute after the change is over; until then it is said when that will be: take
it out of its file, wherever that is. Copies of the keys from before the last rewrapping
can then be opened by nobody; make a new one first: keys copy.`,
		Example: `{{name}} keys ls
{{name}} keys ls --json`,
		Args: console.Args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := s.keyStore(cmd.Context(), nil)
			if err != nil {
				return err
			}
			next, err := s.nextKek(cmd.Context())
			if err != nil {
				return err
			}
			counts, err := countKeys(cmd.Context(), keys, next)
			if err != nil {
				return err
			}
			return s.printKeys(counts)
		},
	}
}

// keyStore opens the key store of the namespace. changing, if not nil, hears of each request that may change it.
func (s *Session) keyStore(ctx context.Context, changing func()) (*jetstream.Keys, error) {
	keys, err := s.openKeys(ctx, changing)
	if _, told := errors.AsType[*Failure](err); !told && errors.Is(err, store.ErrNotFound) {
		return nil, &Failure{Code: codeNoKeys, Exit: console.ExitNotFound, What: "namespace " + s.Namespace() + " has no personal data", Why: "it has no key store", Err: err}
	}
	return keys, err
}

// nextKek names the wrapping key that keys rewrap would make current; empty without --kek.
func (s *Session) nextKek(ctx context.Context) (string, error) {
	w, err := s.openWrapper(ctx)
	if err != nil || w == nil {
		return "", err
	}
	return w.Current(), nil
}

// countKeys counts after it was asked which one is current, so that what it says of the
// others is not older than that.
func countKeys(ctx context.Context, keys privacy.Keys, next string) ([]*keyCount, error) {
	counts := map[string]*keyCount{}
	if next != "" {
		counts[next] = &keyCount{WrappedBy: next, Next: true}
	}
	wrapping, err := keys.Load(ctx, privacy.WrappingSubject)
	if err != nil {
		return nil, err
	}
	if by := wrapping.WrappedBy; by != "" {
		counts[by] = &keyCount{WrappedBy: by, Current: true, Settled: wrapping.Made.Add(privacy.WrapSettled)}
	}
	for r, err := range keys.All(ctx) {
		if err != nil {
			return nil, err
		}
		if r.Key == (store.KeyID{}) || r.IsWrapping() {
			continue
		}
		c := counts[r.WrappedBy]
		if c == nil {
			c = &keyCount{WrappedBy: strings.Clone(r.WrappedBy)}
			counts[c.WrappedBy] = c
		}
		if c.Subjects++; c.Oldest.IsZero() || r.Made.Before(c.Oldest) {
			c.Oldest = r.Made
		}
	}
	return slices.SortedFunc(maps.Values(counts), func(a, b *keyCount) int { return strings.Compare(a.WrappedBy, b.WrappedBy) }), nil
}

func (s *Session) printKeys(counts []*keyCount) error {
	g := s.Grid("WRAPPED BY", "SUBJECTS", "OLDEST", "CURRENT")
	var settled time.Time
	for _, c := range counts {
		if c.Settled.After(settled) {
			settled = c.Settled
		}
		if s.JSON() {
			if err := s.Print(c); err != nil {
				return err
			}
			continue
		}
		oldest, current := "", ""
		if !c.Oldest.IsZero() {
			oldest = s.When(c.Oldest)
		}
		switch {
		case c.Current:
			current = "yes"
		case c.Next:
			current = "after a rewrap"
		}
		g.Add(c.WrappedBy, comma(uint64(c.Subjects)), oldest, current)
	}
	if s.JSON() {
		return nil
	}
	if err := g.Render("no subject has a key"); err != nil || !settled.After(time.Now()) {
		return err
	}
	_, err := fmt.Fprintf(s.Out(), "throw no wrapping key away before %s: until then a node may still use the one before\n", s.When(settled))
	return err
}
