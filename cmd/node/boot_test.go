package node

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
func (j *journal) part(name string, drain time.Duration) part {
	return part{
		name: name,
		open: func(context.Context) error { j.add("open", name); return nil },
		run: func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(drain)
			j.add("drained", name)
			return nil
		},
		close: func() error { j.add("close", name); return nil },
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestBootStopsInReverse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		b := boot{logger: quiet(), parts: []part{
			j.part("server", 0), j.part("actors", time.Second), j.part("gateway", time.Minute/4),
		}}
		begin := time.Now()
		err := b.run(ctx, func() { j.add("up"); cancel() })
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

func TestBootWaitsForReadiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		slow := j.part("gateway", 0)
		serves := make(chan struct{})
		slow.ready = func() <-chan struct{} { return serves }
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Minute); j.add("ready gateway"); close(serves) }()
		b := boot{logger: quiet(), parts: []part{slow, j.part("http", 0)}}
		if err := b.run(ctx, func() { j.add("up"); cancel() }); err != nil {
			t.Fatal(err)
		}
		want := []string{"open gateway", "ready gateway", "open http", "up"}
		if diff := cmp.Diff(want, j.all()[:4]); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBootFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for _, test := range []struct {
		name   string
		change func(*part)
		want   string   // in the error
		stops  []string // after the failure
	}{
		{
			name:   "a part that does not open",
			change: func(p *part) { p.open = func(context.Context) error { return broken } },
			want:   "start actors: disk on fire",
			stops:  []string{"drained server", "close server"},
		},
		{
			name:   "a part that fails while it runs",
			change: func(p *part) { p.run = func(context.Context) error { time.Sleep(time.Second); return broken } },
			want:   "run actors: disk on fire",
			stops:  []string{"drained gateway", "close gateway", "close actors", "drained server", "close server"},
		},
		{
			name:   "a part that ends without being asked to",
			change: func(p *part) { p.run = func(context.Context) error { time.Sleep(time.Second); return nil } },
			want:   "actors ended by itself",
			stops:  []string{"drained gateway", "close gateway", "close actors", "drained server", "close server"},
		},
		{
			name: "a part that fails before it is ready",
			change: func(p *part) {
				p.ready = func() <-chan struct{} { return nil }
				p.run = func(context.Context) error { time.Sleep(time.Second); return broken }
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
				b := boot{logger: quiet(), parts: []part{j.part("server", 0), failing, j.part("gateway", 0)}}
				err := b.run(t.Context(), func() { j.add("up") })
				if !errors.Is(err, broken) && !strings.Contains(test.want, "ended by itself") {
					t.Errorf("error %v does not match its cause", err)
				}
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("error %v, want %q in it", err, test.want)
				}
				if failing.ready != nil && slices.Contains(j.all(), "up") {
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

func TestBootInterruptedWhileStarting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		never := j.part("gateway", 0)
		never.ready = func() <-chan struct{} { return nil }
		go func() { time.Sleep(time.Second); cancel() }()
		b := boot{logger: quiet(), parts: []part{j.part("server", 0), never, j.part("http", 0)}}
		if err := b.run(ctx, func() { j.add("up") }); err != nil {
			t.Errorf("an interrupt is no failure, got %v", err)
		}
		want := []string{"open server", "open gateway", "drained gateway", "close gateway", "drained server", "close server"}
		if diff := cmp.Diff(want, j.all()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBootGivesUpOnAPartThatDoesNotDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var j journal
		ctx, cancel := context.WithCancel(t.Context())
		b := boot{logger: quiet(), parts: []part{j.part("server", 0), j.part("gateway", time.Hour)}}
		err := b.run(ctx, cancel)
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
