package node

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/cmd/node/console"
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
