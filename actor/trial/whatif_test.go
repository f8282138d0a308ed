package trial_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/store"
)

func whatif(t *testing.T, c *trial.Trial) (trial.Summary, []trial.Difference) {
	t.Helper()
	var all []trial.Difference
	sum, err := c.Whatif(t.Context(), func(d trial.Difference) error { all = append(all, d); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return sum, all
}

// strict is a rule that was planted: something must stay in the account.
func strict(a *accounts) {
	a.Decide = func(s account, c command) ([]event, error) {
		if w, ok := c.(withdraw); ok && s.Cents-w.Cents < 10 {
			return nil, errOverdrawn
		}
		return s.decide(c)
	}
}

// The decisions that are reported are those that the rule turns, all of them
// and no others; which they are is known from what was written.
func TestWhatifFindsTurnedDecisions(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		l := newLedger(codec, true)
		var turned []string
		for _, m := range l.fill(t, 40, 600) {
			if m.before-m.cents < 10 {
				turned = append(turned, fmt.Sprintf("%s/%d %d", m.stream, m.version, m.cents))
			}
		}
		if len(turned) == 0 {
			t.Fatal("nothing was planted")
		}
		if sum, all := whatif(t, newTrial(t, l.log, nil, build())); sum.Differs() || len(all) != 0 || sum.Commands != uint64(l.count) {
			t.Errorf("the build that wrote it: %+v, %v", sum, all)
		}
		for _, states := range []int{3, 1000} {
			sum, all := whatif(t, newTrial(t, l.log, func(c *trial.Config) { c.States = states }, build(strict)))
			var got []string
			for _, d := range all {
				if d.Kind != trial.DecisionDiffers || d.Error != errOverdrawn.Error() || d.Command != "withdraw" || len(d.Now) != 0 || d.ID == "" {
					t.Errorf("%+v", d)
				}
				cents := strings.TrimSuffix(strings.TrimPrefix(string(d.Recorded[0].Data), `{"cents":`), `}`)
				got = append(got, fmt.Sprintf("%s/%d %s", d.Stream, d.Version, cents))
			}
			slices.Sort(got)
			slices.Sort(turned)
			if diff := cmp.Diff(turned, got); diff != "" {
				t.Errorf("turned decisions (-want +got):\n%s", diff)
			}
			want := trial.Summary{
				Events: uint64(l.count), Streams: uint64(len(l.heads)), Commands: uint64(l.count),
				Decisions: uint64(len(turned)), Position: sum.Position,
			}
			if sum != want {
				t.Errorf("%+v, want %+v", sum, want)
			}
		}
	})
}

// A decision differs by its events, too, and by a decision that cannot be made.
func TestWhatifShowsBothSides(t *testing.T) {
	t.Parallel()
	l := newLedger(store.MsgPack, true)
	commit := l.add(t, id(1), deposits(10), deposits(7), withdraws(3))
	_, all := whatif(t, newTrial(t, l.log, nil, build(func(a *accounts) {
		a.Decide = func(s account, c command) ([]event, error) {
			switch c := c.(type) {
			case deposit:
				if c.Cents == 7 { // a fee
					return []event{deposited{7}, withdrawn{1}}, nil
				}
			case withdraw:
				panic("later")
			}
			return s.decide(c)
		}
	})))
	want := []trial.Difference{
		{
			Kind: trial.DecisionDiffers, Stream: "account/1", Version: 2, Position: store.PositionOf(commit.Sequence, 1), Command: "deposit", ID: "c-2",
			Recorded: []trial.Outcome{{Type: "deposited", Data: []byte(`{"cents":7}`)}},
			Now:      []trial.Outcome{{Type: "deposited", Data: []byte(`{"cents":7}`)}, {Type: "withdrawn", Data: []byte(`{"cents":1}`)}},
		},
		{
			Kind: trial.DecisionDiffers, Stream: "account/1", Version: 3, Position: store.PositionOf(commit.Sequence, 2), Command: "withdraw", ID: "c-3",
			Recorded: []trial.Outcome{{Type: "withdrawn", Data: []byte(`{"cents":3}`)}}, Error: "decide panicked: later",
		},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What was not kept is counted and not guessed; a command that the build has no
// more is a difference; a stream that cannot be folded is a failure.
func TestWhatifCountsWhatItCannotDo(t *testing.T) {
	t.Parallel()
	l := newLedger(store.MsgPack, true)
	unkept := deposits(1)
	unkept.data = nil
	l.add(t, id(1), unkept, deposits(2))
	renamed := deposits(3)
	renamed.command = "credit"
	l.add(t, id(2), renamed)
	l.add(t, id(3), deposits(1), entry{command: "deposit", data: deposit{1}, event: "lost", happened: deposited{1}})
	l.add(t, id(3), deposits(1))
	l.add(t, store.StreamID{Type: "card", ID: "1"}, entry{command: "issue", event: "issued", happened: struct{}{}})
	sum, all := whatif(t, newTrial(t, l.log, nil, build()))
	want := trial.Summary{Events: 4, Streams: 3, Commands: 3, NotKept: 1, Decisions: 1, Failures: 2, Position: sum.Position}
	if sum != want {
		t.Errorf("%+v, want %+v", sum, want)
	}
	if len(all) != 1 || all[0].Command != "credit" || !strings.Contains(all[0].Error, "credit") {
		t.Errorf("differences %+v", all)
	}
	stop := errors.New("enough")
	if _, err := newTrial(t, l.log, nil, build()).Whatif(t.Context(), func(trial.Difference) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the error of report became %v", err)
	}
}

// States are compared at the version of the snapshot, and those of another
// schema are not.
func TestWhatifComparesStates(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		l := newLedger(codec, true)
		save := func(n int, schema int, state account, c *store.Commit) {
			t.Helper()
			s := &store.Snapshot{Stream: id(n), Head: c.Head(), Position: c.Last(), Time: c.Time, Schema: schema, State: l.encode(t, state)}
			if err := l.log.Save(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]int64{"trial_test.deposited": 1, "trial_test.withdrawn": 1}
		right := account{Cents: 7, Seen: seen}
		for n := range 4 {
			c := l.add(t, id(n), deposits(10), withdraws(3))
			switch n {
			case 0:
				save(n, 1, right, c)
			case 1:
				save(n, 1, account{Cents: 8, Seen: seen}, c)
			case 2:
				save(n, 2, account{Cents: 8, Seen: seen}, c)
			}
			l.add(t, id(n), deposits(1))
		}
		withSnapshots := func(c *trial.Config) { c.Snapshots = l.log }
		sum, all := whatif(t, newTrial(t, l.log, withSnapshots, build()))
		want := trial.Summary{Events: 12, Streams: 4, Commands: 12, Snapshots: 2, States: 1, Aliens: 1, Position: sum.Position}
		if sum != want {
			t.Errorf("%+v, want %+v", sum, want)
		}
		if len(all) != 1 || all[0].Kind != trial.StateDiffers || all[0].Stream != "account/1" || all[0].Version != 2 ||
			!strings.Contains(string(all[0].Was), `"cents":8`) || !strings.Contains(string(all[0].Is), `"cents":7`) {
			t.Errorf("differences %+v", all)
		}
		// A build that folds otherwise differs in every state that it shares a schema with.
		sum, _ = whatif(t, newTrial(t, l.log, withSnapshots, build(func(a *accounts) {
			a.Evolve = func(s account, e event) account { s = s.evolve(e); s.Cents *= 2; return s }
		})))
		if sum.Snapshots != 2 || sum.States != 2 {
			t.Errorf("another fold: %+v", sum)
		}
	})
}
