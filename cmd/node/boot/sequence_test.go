package boot

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// journal collects what happens, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (j *journal) add(words ...string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, strings.Join(words, " "))
}

// part returns a part that writes its life into the journal and takes drain
// to stop.
func (j *journal) part(name string, drain time.Duration) Part {
	return Part{
		Name: name,
		Open: func(context.Context) error { j.add("open", name); return nil },
		Run: func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(drain)
			j.add("drained", name)
			return nil
		},
		Close: func() error { j.add("close", name); return nil },
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestStopsInReverse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		q := Sequence{Logger: quiet(), Parts: []Part{
			j.part("server", 0), j.part("actors", time.Second), j.part("gateway", time.Minute/4),
		}}
		begin := time.Now()
		err := q.Run(ctx, func() { j.add("up"); cancel() })
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			"open server", "open actors", "open gateway", "up",
			"drained gateway", "close gateway", "drained actors", "close actors", "drained server", "close server",
		}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Error(diff)
		}
		if took := time.Since(begin); took != 16*time.Second {
			t.Errorf("stopping took %v, want the sum of the drains, 16s", took)
		}
	})
}

func TestWaitsForReadiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		slow := j.part("gateway", 0)
		serves := make(chan struct{})
		slow.Ready = func() <-chan struct{} { return serves }
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Minute); j.add("ready gateway"); close(serves) }()
		q := Sequence{Logger: quiet(), Parts: []Part{slow, j.part("http", 0)}}
		if err := q.Run(ctx, func() { j.add("up"); cancel() }); err != nil {
			t.Fatal(err)
		}
		want := []string{"open gateway", "ready gateway", "open http", "up"}
		if diff := cmp.Diff(want, j.all()[:4]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for _, test := range []struct {
		name   string
		change func(*Part)
		want   string   // in the error
		stops  []string // after the failure
	}{
		{
			name:   "a part that does not open",
			change: func(p *Part) { p.Open = func(context.Context) error { return broken } },
			want:   "start actors: disk on fire",
			stops:  []string{"drained server", "close server"},
		},
		{
			name:   "a part that fails while it runs",
			change: func(p *Part) { p.Run = func(context.Context) error { time.Sleep(time.Second); return broken } },
			want:   "run actors: disk on fire",
			stops:  []string{"drained gateway", "close gateway", "close actors", "drained server", "close server"},
		},
		{
			name:   "a part that ends without being asked to",
			change: func(p *Part) { p.Run = func(context.Context) error { time.Sleep(time.Second); return nil } },
			want:   "actors ended by itself",
			stops:  []string{"drained gateway", "close gateway", "close actors", "drained server", "close server"},
		},
		{
			name: "a part that fails before it is ready",
			change: func(p *Part) {
				p.Ready = func() <-chan struct{} { return nil }
				p.Run = func(context.Context) error { time.Sleep(time.Second); return broken }
			},
			want:  "run actors: disk on fire",
			stops: []string{"close actors", "close server"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var j journal
				failing := j.part("actors", 0)
				test.change(&failing)
				q := Sequence{Logger: quiet(), Parts: []Part{j.part("server", 0), failing, j.part("gateway", 0)}}
				err := q.Run(t.Context(), func() { j.add("up") })
				if !errors.Is(err, broken) && !strings.Contains(test.want, "ended by itself") {
					t.Errorf("error %v does not match its cause", err)
				}
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v, want %q in it", err, test.want)
				}
				if failing.Ready != nil && slices.Contains(j.all(), "up") {
					t.Error("up without a part that never was ready")
				}
				for _, stop := range test.stops {
					if !strings.Contains(strings.Join(j.all(), "\n"), stop) {
						t.Errorf("%q did not happen: %q", stop, j.all())
					}
				}
				if last := j.all()[len(j.all())-1]; last != "close server" {
					t.Errorf("%q is last, want the server", last)
				}
			})
		})
	}
}

func TestInterruptedWhileStarting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		never := j.part("gateway", 0)
		never.Ready = func() <-chan struct{} { return nil }
		go func() { time.Sleep(time.Second); cancel() }()
		q := Sequence{Logger: quiet(), Parts: []Part{j.part("server", 0), never, j.part("http", 0)}}
		if err := q.Run(ctx, func() { j.add("up") }); err != nil {
			t.Errorf("an interrupt is no failure, got %v", err)
		}
		want := []string{"open server", "open gateway", "drained gateway", "close gateway", "drained server", "close server"}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestGivesUpOnAPartThatDoesNotDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		q := Sequence{Logger: quiet(), Parts: []Part{j.part("server", 0), j.part("gateway", time.Hour)}}
		err := q.Run(ctx, cancel)
		if err == nil || !strings.Contains(err.Error(), "gateway: still draining after 30s") {
			t.Errorf("error %v does not name the part that hangs", err)
		}
		if diff := cmp.Diff([]string{"close gateway", "drained server", "close server"}, j.all()[2:]); diff != "" {
			t.Error(diff)
		}
		synctest.Wait()
		time.Sleep(2 * time.Hour) // lets the late part end inside the bubble
	})
}
