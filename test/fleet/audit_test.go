package fleet

import (
	"strings"
	"testing"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/store"
)

// TestAudit plants one violation after the other in a sound history. An
// auditor that misses one, or takes it for another, is none.
func TestAudit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(w *world)
		want  Findings // counts of violations only
		says  string
	}{
		{name: "all is well", spoil: func(*world) {}},
		{
			name: "an acknowledged command is not in the log",
			spoil: func(w *world) {
				w.tell("a", "gone", work(1), Answer{Outcome: OK, Result: actor.Result{Version: 4, Position: store.PositionOf(9, 0)}})
			},
			want: Findings{Lost: 1}, says: "gone",
		},
		{
			name: "it is there at another version",
			spoil: func(w *world) {
				r := w.store("a", "a5", work(1), 9)
				r.Version++
				w.tell("a", "a5", work(1), Answer{Outcome: OK, Result: r})
			},
			want: Findings{Lost: 1}, says: "a5",
		},
		{
			name: "it is there on another stream",
			spoil: func(w *world) {
				w.tell("a", "b5", work(1), Answer{Outcome: OK, Result: w.store("b", "b5", work(1), 9)})
			},
			want: Findings{Lost: 1, Reordered: 1}, says: "b5",
		},
		{
			name:  "a command took effect twice",
			spoil: func(w *world) { w.store("a", "a4", work(4), 9) },
			want:  Findings{Duplicated: 1}, says: "a4",
		},
		{
			name:  "a command that nobody sent",
			spoil: func(w *world) { w.store("a", "nobody", work(4), 9) },
			want:  Findings{Duplicated: 1}, says: "never sent",
		},
		{
			name: "a rejected command took effect",
			spoil: func(w *world) {
				w.store("a", "a5", work(1), 9)
				w.tell("a", "a5", work(1), Answer{Outcome: Rejected, Text: "no"})
			},
			want: Findings{Duplicated: 1}, says: "answered rejected",
		},
		{
			name: "a command that nobody could carry out took effect",
			spoil: func(w *world) {
				w.store("a", "a5", work(1), 9)
				w.tell("a", "a5", work(1), Answer{Outcome: Unavailable, Text: "no"})
			},
			want: Findings{Duplicated: 1}, says: "answered unavailable",
		},
		{
			name: "the same command is told two results",
			spoil: func(w *world) {
				o := w.do("a", "a5", work(1), 9)
				again := o.Answer
				again.Result.Version, again.Result.Duplicate = 3, true
				o.Again = &Again{Interval{w.tick(), w.tick()}, again}
			},
			want: Findings{Duplicated: 1}, says: "sent again",
		},
		{
			name: "the same command takes effect for the second time when sent again",
			spoil: func(w *world) {
				o := w.do("a", "a5", work(1), 9)
				o.Again = &Again{Interval{w.tick(), w.tick()}, Answer{Outcome: OK, Result: w.store("a", "a5", work(1), 9)}}
			},
			want: Findings{Duplicated: 2}, says: "sent again",
		},
		{
			name: "acknowledged first, stored last",
			spoil: func(w *world) {
				late := w.store("a", "late", work(1), 9) // is 4
				early := w.store("a", "early", work(2), 9)
				w.tell("a", "early", work(2), Answer{Outcome: OK, Result: early})
				w.tell("a", "late", work(1), Answer{Outcome: OK, Result: late})
			},
			want: Findings{Reordered: 1}, says: "late",
		},
		{
			name: "two commands at one version",
			spoil: func(w *world) {
				w.tell("a", "a5", work(1), Answer{Outcome: OK, Result: w.store("a", "a5", work(1), 9)})
				c := w.commit("a", "a6", 9)
				c.After = w.book.commits[3].Head() // the head before a5
				w.add(c)
				w.tell("a", "a6", work(1), Answer{Outcome: OK, Result: actor.Result{Version: 4, Position: store.PositionOf(c.Sequence, 0)}})
			},
			want: Findings{Reordered: 2}, says: "broken",
		},
		{
			name: "a hole in a stream",
			spoil: func(w *world) {
				c := w.commit("a", "a5", 9)
				c.After.Version += 2
				w.add(c)
				w.tell("a", "a5", work(1), Answer{Outcome: OK, Result: actor.Result{Version: 6, Position: store.PositionOf(c.Sequence, 0)}})
			},
			want: Findings{Reordered: 1}, says: "broken",
		},
		{
			name: "a commit that was replaced",
			spoil: func(w *world) {
				c := w.commit("a", "a5", 9)
				c.After.Hash[0]++
				w.add(c)
				w.tell("a", "a5", work(1), Answer{Outcome: OK, Result: actor.Result{Version: 4, Position: store.PositionOf(c.Sequence, 0)}})
			},
			want: Findings{Reordered: 1}, says: "broken",
		},
		{
			name:  "a commit under an epoch that has passed",
			spoil: func(w *world) { w.tell("a", "a5", work(1), Answer{Outcome: Unknown}); w.store("a", "a5", work(1), 8) },
			want:  Findings{StaleCommits: 1, Unsettled: 1}, says: "under epoch 8",
		},
		{
			name: "an owner acknowledges after its heir began, on another stream of the partition",
			spoil: func(w *world) {
				other := sibling(w, "a")
				w.do(other, "o1", submit, 8)
			},
			want: Findings{StaleCommits: 1}, says: "acknowledged under epoch 8",
		},
		{
			name: "its heir may tell what it finds there",
			spoil: func(w *world) {
				other := sibling(w, "a")
				r := w.store(other, "o1", submit, 8)
				r.Duplicate = true
				w.tell(other, "o1", submit, Answer{Outcome: OK, Result: r})
			},
		},
		{
			name:  "a state from before an acknowledgement",
			spoil: func(w *world) { w.read("a", 2, application.Application{}) },
			want:  Findings{StaleReads: 1}, says: "was read at version 2",
		},
		{
			name:  "a state from beyond the log",
			spoil: func(w *world) { w.read("a", 4, application.Application{}) },
			want:  Findings{StaleReads: 1}, says: "ends at 3",
		},
		{
			name: "a state from before an acknowledgement that came meanwhile",
			spoil: func(w *world) {
				sent := w.tick()
				w.do("a", "a5", work(1), 9)
				w.history.read(Read{Stream: "a", Interval: Interval{sent, w.tick()}, Version: 3})
			},
		},
		{
			name:  "never settled",
			spoil: func(w *world) { w.tell("a", "a5", work(1), Answer{Outcome: Unknown}) },
			want:  Findings{Unsettled: 1}, says: "a5",
		},
		{
			name:  "an answer without a reason",
			spoil: func(w *world) { w.tell("a", "a5", work(1), Answer{Outcome: Unexpected, Text: "internal error"}) },
			want:  Findings{Unexpected: 1}, says: "internal error",
		},
		{
			name: "settled: it had taken effect",
			spoil: func(w *world) {
				o := w.tell("a", "a5", work(1), Answer{Outcome: Unknown})
				r := w.store("a", "a5", work(1), 9)
				r.Duplicate = true
				o.Again = &Again{Interval{w.tick(), w.tick()}, Answer{Outcome: OK, Result: r}}
			},
		},
		{
			name: "settled: it takes effect now",
			spoil: func(w *world) {
				o := w.tell("a", "a5", work(1), Answer{Outcome: Unknown})
				w.do("a", "a6", work(2), 9)
				o.Again = &Again{Interval{w.tick(), w.tick()}, Answer{Outcome: OK, Result: w.store("a", "a5", work(1), 9)}}
			},
		},
		{
			name: "settled as rejected, and stored",
			spoil: func(w *world) {
				o := w.tell("a", "a5", work(1), Answer{Outcome: Unknown})
				w.store("a", "a5", work(1), 9)
				o.Again = &Again{Interval{w.tick(), w.tick()}, Answer{Outcome: Rejected, Text: "no"}}
			},
			want: Findings{Duplicated: 1}, says: "answered rejected",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := sound(t)
			c.spoil(w)
			got := Audit(w.book, w.history)
			if g := violations(got); g != violations(&c.want) {
				t.Errorf("found %v, want %v; notes:\n%s", g, violations(&c.want), strings.Join(got.Notes, "\n"))
			}
			if (got.Clean() == nil) != (violations(&c.want) == [8]int{}) {
				t.Errorf("clean: %v", got.Clean())
			}
			if !strings.Contains(strings.Join(got.Notes, "\n"), c.says) {
				t.Errorf("said %q, want something of %q", got.Notes, c.says)
			}
		})
	}
}

func violations(f *Findings) [8]int {
	return [8]int{f.Lost, f.Duplicated, f.Reordered, f.StaleCommits, f.StaleReads, f.Unjustified, f.Unsettled, f.Unexpected}
}

// sibling returns another application of the same partition.
func sibling(w *world, id string) string {
	for n := 'c'; ; n++ {
		if other := string(n); stream(other).Partition(w.book.partitions) == stream(id).Partition(w.book.partitions) {
			return other
		}
	}
}

func TestAuditCounts(t *testing.T) {
	t.Parallel()
	w := sound(t)
	w.tell("a", "a5", work(1), Answer{Outcome: Unknown})
	f := Audit(w.book, w.history)
	if f.Acknowledged != 4 || f.Rejected != 1 || f.Unavailable != 1 || f.Unknown != 1 || f.Reads != 1 {
		t.Errorf("counted %+v", f)
	}
	if w.book.Epochs() != 2 || w.book.Commits() != 4 {
		t.Errorf("%d commits under %d epochs", w.book.Commits(), w.book.Epochs())
	}
}

// TestJustify plants answers that no order of the commands explains.
func TestJustify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(w *world)
		want  int
	}{
		{"all is well", func(*world) {}, 0},
		{"a rejection without a reason", func(w *world) {
			w.tell("a", "a5", work(1), Answer{Outcome: Rejected, Text: application.ErrNotSubmitted.Error()})
		}, 1},
		{"a rejection for another reason", func(w *world) {
			w.tell("a", "a5", submit, Answer{Outcome: Rejected, Text: application.ErrNotSubmitted.Error()})
		}, 1},
		{"a state that never was", func(w *world) {
			s := w.states["a"]
			s.Amount++
			w.read("a", 3, s)
		}, 1},
		{"the state of now", func(w *world) { w.read("a", 3, w.states["a"]) }, 0},
		{"the state of before", func(w *world) { w.read("a", 2, w.states["a"]) }, 1},
		{"before the first event", func(w *world) { w.read("c", 0, application.Application{}) }, 0},
		{"an unknown outcome that explains a state", func(w *world) {
			w.tell("a", "a5", work(1), Answer{Outcome: Unknown})
			w.store("a", "a5", work(1), 9)
			w.read("a", 4, w.states["a"])
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := sound(t)
			c.spoil(w)
			f := Findings{}
			Justify(&f, w.history)
			if f.Unjustified != c.want {
				t.Errorf("found %d, want %d: %q", f.Unjustified, c.want, f.Notes)
			}
		})
	}
}
