package node

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/cmd/node/console"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
)

// A copy is recorded, with what came of it, and is made also if nothing can be recorded; then that is said. An
// act that is not a copy is not done.
func TestACopyIsMadeWhateverIsRecorded(t *testing.T) {
	t.Parallel()
	noRoom, lost := errors.New("no space left"), store.ErrUnavailable
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for what, c := range map[string]struct {
		stopped   bool
		write, do error
		recorded  []string
		warns     bool
	}{
		"it is made":            {false, nil, nil, []string{"begun", "done"}, false},
		"it fails at once":      {false, nil, untouched(lost), []string{"begun", "failed: UNAVAILABLE"}, false},
		"it fails on the way":   {false, nil, lost, []string{"begun", "unknown: UNAVAILABLE"}, false},
		"nothing is recorded":   {false, noRoom, nil, nil, true},
		"neither one nor other": {false, noRoom, lost, nil, true},
		"it is interrupted":     {true, noRoom, context.Canceled, nil, false},
	} {
		s, _, talk := testSession(nil)
		s.prepared = true
		if err := console.Prepare(s.Console, nil); err != nil {
			t.Fatal(err)
		}
		var recorded []string
		write := func(_ context.Context, a ledger.Act) error {
			if c.write != nil {
				return c.write
			}
			if a.Action != "backup.create" || a.What != "to x" || a.By == "" || a.ID == "" {
				t.Errorf("%s: recorded as %+v", what, a)
			}
			recorded = append(recorded, a.Outcome)
			return nil
		}
		ctx, done := t.Context(), 0
		if c.stopped {
			ctx = stopped
		}
		do := func() error {
			done++
			return c.do
		}
		if err := s.copied(ctx, write, "backup.create", "to x", do); !errors.Is(err, c.do) || done != 1 {
			t.Errorf("%s: made %d times, %v", what, done, err)
		}
		if diff := cmp.Diff(c.recorded, recorded); diff != "" {
			t.Errorf("%s: recorded (-want +got):\n%s", what, diff)
		}
		if strings.Contains(talk.String(), "not in the audit log") != c.warns {
			t.Errorf("%s: it says %q", what, talk)
		}
		if done = 0; c.write != nil {
			if err := s.recorded(ctx, write, "archive.run", "x", do); err == nil || done != 0 {
				t.Errorf("%s: an act was done %d times, %v", what, done, err)
			}
		}
	}
}

// Who acts is who they say they are, first by --by, then by --as, and else whose account it is.
func TestByWhom(t *testing.T) {
	t.Parallel()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	account, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ by, as, user, want string }{
		{"ann", "olga", "bob", "ann"},
		{"", "olga", "bob", "olga"},
		{"", "", "bob", "bob@" + host},
		{"", "", "", account.Username + "@" + host},
	} {
		s, _, _ := testSession(map[string]string{"USER": c.user})
		s.flags.as = c.as
		if got := s.by(c.by); got != c.want {
			t.Errorf("--by %q --as %q USER=%q: %q, want %q", c.by, c.as, c.user, got, c.want)
		}
	}
}

// What a command writes into the log itself no server has verified, whatever name it comes under.
func TestWhatIsWrittenDirectlyIsUnverified(t *testing.T) {
	t.Parallel()
	s, _, _ := testSession(nil)
	s.flags.as = "olga"
	log := store.NewMemory(store.MemoryConfig{})
	began := time.Now()
	if err := s.acted(t.Context(), log, "schema.migrate", "bank", began); err != nil {
		t.Fatal(err)
	}
	write := directly(ledger.New(log))
	if err := s.recorded(t.Context(), write, "archive.run", "x", func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	n := 0
	for a, err := range ledger.Acts(t.Context(), log, began.Add(-time.Second), began.Add(time.Hour)) {
		if n++; err != nil || a.By != "unverified:olga" {
			t.Errorf("%s %s is by %q, %v", a.Action, a.Outcome, a.By, err)
		}
		if !strings.HasPrefix(a.ID, gateway.RecordedID) { // a node may have written its beginning
			t.Errorf("%s %s has id %q, and another by a node", a.Action, a.Outcome, a.ID)
		}
	}
	if n != 4 {
		t.Errorf("%d entries", n)
	}
}
