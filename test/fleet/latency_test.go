package fleet

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// at puts a command with given times, in seconds, into a history. They must
// come in the order of their answers.
func at(h *History, stream string, sent, done int, outcome Outcome) *Op {
	o := &Op{Stream: stream}
	h.send(o)
	h.answer(o, Answer{Outcome: outcome})
	o.Sent, o.Done = time.Duration(sent)*time.Second, time.Duration(done)*time.Second
	return o
}

func TestReturns(t *testing.T) {
	t.Parallel()
	h := NewHistory()
	at(h, "before", 1, 2, OK)
	at(h, "pending", 9, 14, OK) // under way at the moment
	at(h, "pending", 15, 16, OK)
	at(h, "later", 1, 2, OK)
	at(h, "later", 11, 17, Rejected) // no acknowledgement
	at(h, "later", 18, 19, OK)
	took, missing := h.Returns([]string{"before", "pending", "later", "never"}, 10*time.Second)
	if diff := cmp.Diff([]time.Duration{4 * time.Second, 9 * time.Second}, took); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"before", "never"}, missing); diff != "" {
		t.Error(diff)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	h := NewHistory()
	at(h, "a", 1, 9, OK)        // answered before
	at(h, "a", 9, 13, OK)       // under way when it begins
	at(h, "a", 14, 15, Unknown) // counts, too
	at(h, "a", 19, 30, OK)      // under way when it ends
	at(h, "a", 31, 32, OK)      // sent later
	at(h, "b", 14, 15, OK)      // not asked for
	took := h.Times([]string{"a"}, Interval{10 * time.Second, 20 * time.Second})
	slices.Sort(took)
	if diff := cmp.Diff([]time.Duration{time.Second, 4 * time.Second, 11 * time.Second}, took); diff != "" {
		t.Error(diff)
	}
}

func TestPending(t *testing.T) {
	t.Parallel()
	h := NewHistory()
	if h.OldestPending() != 0 {
		t.Error("something is pending in an empty history")
	}
	o := &Op{Stream: "a"}
	h.send(o)
	if h.OldestPending() <= 0 || !h.Unanswered(map[string]bool{"a": true}, Interval{0, h.Now()}) {
		t.Error("what was sent is not pending")
	}
	if h.Unanswered(map[string]bool{"b": true}, Interval{0, h.Now()}) {
		t.Error("what was sent to another stream counts")
	}
	h.answer(o, Answer{Outcome: OK})
	if h.OldestPending() != 0 || h.Acknowledged() != 1 {
		t.Error("what was answered is still pending")
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var all []time.Duration
	for n := range 200 {
		all = append(all, time.Duration(200-n)*time.Millisecond)
	}
	for _, c := range []struct {
		p    float64
		want time.Duration
	}{{0, 1}, {0.5, 100}, {0.99, 198}, {1, 200}} {
		if got := Percentile(all, c.p); got != c.want*time.Millisecond {
			t.Errorf("percentile %v is %v, want %v ms", c.p, got, c.want)
		}
	}
	if Percentile(nil, 0.99) != 0 {
		t.Error("the percentile of nothing is something")
	}
}
