package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/store"
)

// disk is a barrier whose syncs end when the test says so.
type disk struct {
	calls atomic.Int64
	mu    sync.Mutex
	gate  chan error // nil: syncs end at once
}

func (d *disk) barrier(ctx context.Context) error {
	d.calls.Add(1)
	d.mu.Lock()
	gate := d.gate
	d.mu.Unlock()
	if gate == nil {
		return nil
	}
	select {
	case err := <-gate:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold makes syncs that begin from now on wait. The returned function ends one.
func (d *disk) hold() (end func(error)) {
	gate := make(chan error)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = gate
	return func(err error) { gate <- err }
}

func (d *disk) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = nil
}

func TestWatermark(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		during  func(d *durability) // while the barrier for sequence 5 runs
		next    uint64
		waiting bool // whether next needs a barrier of its own
	}{
		{"what was waited for is durable", func(*durability) {}, 5, false},
		{"all before it, too", func(*durability) {}, 3, false},
		{"what came later is not", func(*durability) {}, 6, true},
		{"nor what came while the barrier ran", func(d *durability) { d.see(6) }, 6, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			var d durability
			d.barrier = func(context.Context) error {
				if calls++; calls == 1 {
					c.during(&d)
				}
				return nil
			}
			for _, sequence := range []uint64{5, c.next} {
				if err := d.wait(context.Background(), sequence); err != nil {
					t.Fatal(err)
				}
			}
			if (calls == 2) != c.waiting {
				t.Errorf("the barrier was called %d times", calls)
			}
		})
	}
}

func TestWatermarkCoversWhatWasSeenBefore(t *testing.T) {
	t.Parallel()
	var disk disk
	d := durability{barrier: disk.barrier}
	d.see(9)
	for _, sequence := range []uint64{5, 9} {
		if err := d.wait(context.Background(), sequence); err != nil {
			t.Fatal(err)
		}
	}
	if n := disk.calls.Load(); n != 1 {
		t.Errorf("%d barriers, want 1 for all that had been seen", n)
	}
}

func TestWatermarkStaysWhenTheBarrierFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	d := durability{barrier: func(context.Context) error { return broken }}
	for range 2 {
		if err := d.wait(context.Background(), 5); !errors.Is(err, broken) {
			t.Fatalf("wait: %v", err)
		}
	}
}

// TestWatermarkNeverLies has many write, see and wait at once, on a disk that
// syncs exactly what was written when a sync began.
func TestWatermarkNeverLies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var written, synced atomic.Uint64
		d := durability{barrier: func(context.Context) error {
			now := written.Load()
			time.Sleep(time.Millisecond)
			raise(&synced, now)
			return nil
		}}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for i := range 200 {
					mine := written.Add(1)
					time.Sleep(time.Duration(i%7) * 100 * time.Microsecond)
					if err := d.wait(context.Background(), mine); err != nil {
						t.Error(err)
					}
					if on := synced.Load(); on < mine {
						t.Errorf("%d counts as durable, but the disk has only %d", mine, on)
					}
				}
			})
		}
		wg.Wait()
	})
}

// waitsForDisk checks that do does not return before the disk's sync ends.
func waitsForDisk(t *testing.T, d *disk, what string, do func() error) {
	t.Helper()
	end := d.hold()
	before := d.calls.Load()
	done := make(chan error, 1)
	go func() { done <- do() }()
	eventually(t, what+" waits for the disk", func() bool { return d.calls.Load() > before })
	select {
	case err := <-done:
		t.Fatalf("%s returned before the sync ended: %v", what, err)
	default:
	}
	d.release()
	end(nil)
	if err := <-done; err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestEverythingWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	for _, logStreams := range []int{1, 4} {
		t.Run(fmt.Sprint(logStreams), func(t *testing.T) {
			t.Parallel()
			everythingWaitsForTheDisk(t, logStreams)
		})
	}
}

func everythingWaitsForTheDisk(t *testing.T, logStreams int) {
	t.Helper()
	ctx := context.Background()
	var d disk
	l := open(t, &single, Config{Barrier: d.barrier, LogStreams: logStreams})
	appendTo(t, l, stream("other"), store.Head{}, 1)
	writer := open(t, &single, Config{Namespace: l.cfg.Namespace, LogStreams: logStreams}) // waits for nothing
	id := stream("1")
	var head store.Head
	waitsForDisk(t, &d, "append", func() (err error) {
		head, err = l.Append(ctx, commitOf(id, head, 1))
		return err
	})
	tip, err := l.Tip(ctx)
	if err != nil {
		t.Fatal(err)
	}
	feed, err := l.Follow(ctx, store.Follow{After: tip})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = feed.Close() }()
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"feed", func() error { _, err := feed.Next(ctx, 1); return err }},
		{"read", func() error { _, err := readAll(l, id, store.Head{}); return err }},
		{"tip", func() error { _, err := l.Tip(ctx); return err }},
		{"tip of a type", func() error { _, err := l.Tip(ctx, id.Type); return err }},
	} {
		head = appendTo(t, writer, id, head, 1)
		waitsForDisk(t, &d, c.what, c.do)
	}
	// And what is known to be on disk is not waited for again.
	calls := d.calls.Load()
	if _, err := readAll(l, id, store.Head{}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Tip(ctx); err != nil {
		t.Fatal(err)
	}
	if n := d.calls.Load() - calls; n != 0 {
		t.Errorf("%d barriers for what was durable already", n)
	}
}

func TestAppendWithBrokenDiskIsUnknown(t *testing.T) {
	t.Parallel()
	var d disk
	l := open(t, &single, Config{Barrier: d.barrier})
	end := d.hold()
	broken := errors.New("input/output error")
	done := make(chan error, 1)
	c := commitOf(stream("1"), store.Head{}, 1)
	go func() {
		_, err := l.Append(context.Background(), c)
		done <- err
	}()
	end(broken)
	if err := <-done; !errors.Is(err, store.ErrUnknown) || !errors.Is(err, broken) || errors.Is(err, store.ErrUnavailable) {
		t.Fatalf("append: %v, want an unknown outcome with the disk's error", err)
	}
	d.release()
	if head, err := l.Append(context.Background(), c); err != nil || head.Version != 1 {
		t.Fatalf("the identical commit again: %+v, %v", head, err)
	}
}

// TestNextCutShortLosesNothing ends Next while it waits for the disk, with
// commits that it has taken already.
func TestNextCutShortLosesNothing(t *testing.T) {
	t.Parallel()
	var d disk
	l := open(t, &single, Config{Barrier: d.barrier})
	heads := fillStream(t, l, stream("1"), 5)
	feed, err := open(t, &single, Config{Namespace: l.cfg.Namespace, Barrier: d.barrier}).
		Follow(context.Background(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = feed.Close() }()
	d.hold()
	ctx, cancel := context.WithCancel(context.Background())
	before := d.calls.Load()
	done := make(chan error, 1)
	go func() {
		_, err := feed.Next(ctx, 10)
		done <- err
	}()
	eventually(t, "next waits for the disk", func() bool { return d.calls.Load() > before })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("next: %v", err)
	}
	d.release()
	var got []*store.Commit
	for len(got) < 5 {
		commits, err := feed.Next(context.Background(), 10)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, commits...)
	}
	for i, c := range got {
		if c.Head() != heads[i+1] {
			t.Fatalf("commit %d is %+v, want %+v", i, c.Head(), heads[i+1])
		}
	}
}
