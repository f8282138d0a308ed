package history

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/annals-go/annals/cmd/loans/application"
)

func TestSampleIsRepeatable(t *testing.T) {
	t.Parallel()
	first, again := sampleFile(t, 100, 7), sampleFile(t, 100, 7)
	if again != first {
		t.Error("the same seed gave another file")
	}
	if sampleFile(t, 100, 8) == first {
		t.Error("another seed gave the same file")
	}
	few := strings.TrimSuffix(sampleFile(t, 10, 7), "</log>\n")
	if !strings.HasPrefix(first, few) {
		t.Error("a smaller sample is not the beginning of a larger one")
	}
}

func TestSampleIsReadBack(t *testing.T) {
	t.Parallel()
	back, err := readAll(strings.NewReader(sampleFile(t, 300, 2)))
	if err != nil {
		t.Fatal(err)
	}
	lines := []cmp.Option{cmpopts.IgnoreFields(Trace{}, "Line"), cmpopts.IgnoreFields(Event{}, "Line")}
	if d := cmp.Diff(slices.Collect(Sample(300, 2)), back, lines...); d != "" {
		t.Errorf("traces (-made +read):\n%s", d)
	}
}

// TestSampleFollowsTheRules: the domain accepts every command of the sample, a
// story's times go forward, and all that the bank's history has occurs.
func TestSampleFollowsTheRules(t *testing.T) {
	t.Parallel()
	seen, outcomes := map[string]int{}, map[application.Outcome]int{}
	for trace := range Sample(5_000, 1) {
		var a application.Application
		for i, e := range trace.Events {
			c, err := trace.Command(i)
			if err != nil {
				t.Fatal(err)
			}
			decided, err := a.Decide(c)
			if err != nil {
				t.Fatalf("application %s, event %d, %s: %v", trace.Application, i, e.Key(), err)
			}
			a = a.Evolve(decided[0])
			if i > 0 && e.Time.Before(trace.Events[i-1].Time) {
				t.Fatalf("application %s: event %d is before the one before it", trace.Application, i)
			}
			seen[e.Key()]++
		}
		outcomes[a.Outcome()]++
	}
	if len(outcomes) != 4 {
		t.Errorf("the outcomes are %v, want all four", outcomes)
	}
	for key := range commands {
		if seen[key] == 0 {
			t.Errorf("no %s among %d kinds of events", key, len(seen))
		}
	}
	for _, item := range []string{leads, completing, calling, validating, incomplete, fraud, changing} {
		if seen[item+"/SCHEDULE"] == 0 {
			t.Errorf("no %s among %v", item, slices.Sorted(maps.Keys(seen)))
		}
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	full := errors.New("disk is full")
	if err := Write(failing{full}, Sample(1_000, 1)); !errors.Is(err, full) {
		t.Errorf("error %v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
