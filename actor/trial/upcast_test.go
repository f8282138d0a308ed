package trial_test

import (
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/store"
)

// The next build of the bank counts in millis, calls a deposit a credit, and has
// a fee beside each withdrawal, which was always paid and never written down.

type (
	credit struct {
		Millis int64 `json:"millis"`
	}
	debit struct {
		Millis int64 `json:"millis"`
	}
	credited struct {
		Millis int64 `json:"millis"`
	}
	debited struct {
		Millis int64 `json:"millis"`
	}
	charged struct{}
)

func (credit) isCommand() {}
func (debit) isCommand()  {}
func (credited) isEvent() {}
func (debited) isEvent()  {}
func (charged) isEvent()  {}

// nextBuild decides as the first one did if fee is set.
func nextBuild(fee bool) actor.Definition {
	return actor.Aggregate[int64, command, event]{
		Type: "account",
		Decide: func(_ int64, c command) ([]event, error) {
			switch c := c.(type) {
			case credit:
				return []event{credited(c)}, nil
			case debit:
				if !fee {
					return []event{debited(c)}, nil
				}
				return []event{debited(c), charged{}}, nil
			}
			return nil, nil
		},
		Evolve: func(s int64, e event) int64 {
			switch e := e.(type) {
			case credited:
				s += e.Millis
			case debited:
				s -= e.Millis
			}
			return s
		},
		Commands: store.NewTypes(map[string]command{"credit": credit{}, "withdraw": debit{}},
			store.Upcast("deposit", 1, func(d deposit) credit { return credit{Millis: 10 * d.Cents} }),
			store.Rename("deposit", 2, "credit"),
			store.Upcast("withdraw", 1, func(w withdraw) debit { return debit{Millis: 10 * w.Cents} })),
		Events: store.NewTypes(map[string]event{"credited": credited{}, "withdrawn": debited{}, "charged": charged{}},
			store.Upcast("deposited", 1, func(d deposited) credited { return credited{Millis: 10 * d.Cents} }),
			store.Rename("deposited", 2, "credited"),
			store.Split("withdrawn", 1, func(w withdrawn) []event { return []event{debited{Millis: 10 * w.Cents}, charged{}} })),
	}
}

// What was written by the first build is compared as the next one reads it:
// renamed, in other units, and split.
func TestTrialUpcasts(t *testing.T) {
	eachCodec(t, func(t *testing.T, codec store.Codec) {
		l := newLedger(codec, true)
		withdrawals := len(l.fill(t, 20, 200))
		report := schemaOf(t, newTrial(t, l.log, nil, nextBuild(true)))
		if report.Failures != 0 || report.Events != uint64(l.count) {
			t.Errorf("%+v, want %d events and no failure", report, l.count)
		}
		sum, all := whatif(t, newTrial(t, l.log, nil, nextBuild(true)))
		if sum.Differs() || sum.Failures != 0 || sum.Commands != uint64(l.count) {
			t.Errorf("%+v, %v", sum, all)
		}
		sum, all = whatif(t, newTrial(t, l.log, nil, nextBuild(false)))
		if sum.Decisions != uint64(withdrawals) || len(all) != withdrawals {
			t.Fatalf("%+v, want the %d withdrawals", sum, withdrawals)
		}
		for _, d := range all {
			if d.Kind != trial.DecisionDiffers || len(d.Recorded) != 2 || d.Recorded[1].Type != "charged" || len(d.Now) != 1 || d.Now[0].Type != "withdrawn" {
				t.Errorf("%+v", d)
			}
		}
	})
}

// A step that panics is a failure like any other, and ends no process.
func TestTrialSurvivesSteps(t *testing.T) {
	t.Parallel()
	l := newLedger(store.MsgPack, true)
	l.add(t, id(1), deposits(1))
	l.add(t, id(1), withdraws(1))
	bad := build(func(a *accounts) {
		a.Events = store.NewTypes(map[string]event{"deposited": credited{}, "withdrawn": withdrawn{}},
			store.Upcast("deposited", 1, func(deposited) credited { panic("no rate of exchange") }))
	})
	report := schemaOf(t, newTrial(t, l.log, nil, bad))
	if report.Failures != 1 || len(report.Failed) != 1 || report.Failed[0].Reason != "upcast panicked: no rate of exchange" {
		t.Errorf("%+v", report)
	}
	if sum, _ := whatif(t, newTrial(t, l.log, nil, bad)); sum.Failures != 1 || sum.Commands != 0 {
		t.Errorf("%+v", sum)
	}
}
