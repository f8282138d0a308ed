package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/archive"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/segment"
	"github.com/annals-go/annals/test/bank"
	"github.com/annals-go/annals/test/harness"
)

func main() { harness.Main("long", start) }

func start(ctx context.Context, args []string, out, tell io.Writer) error {
	f := flag.NewFlagSet("long", flag.ContinueOnError)
	f.SetOutput(tell)
	events := f.Uint64("events", 1_000_000, "how many events the long stream has")
	keep := f.Uint64("keep", 10_000, "how many of them stay in the log")
	others := f.Uint64("others", 50, "after how many of them a commit of another stream stands; 0: there is no other stream")
	if err := harness.Parse(f, args); err != nil {
		return err
	}
	return run(ctx, *events, *keep, *others, out)
}

// limit is what an activation may take in the middle.
const limit = 50 * time.Millisecond

// outcome is the line that is printed.
type outcome struct {
	Events      uint64 `json:"events"`
	Others      uint64 `json:"others"`
	Archived    uint64 `json:"archived"`
	Differences int    `json:"differences"`

	Activation      float64 `json:"activation_p50_ms"`
	ActivationAfter float64 `json:"activation_after_p50_ms"`
	Raw             int     `json:"raw_per_s"`
	Replay          int     `json:"replay_per_s"`
	ReplayAfter     int     `json:"replay_after_per_s"`
	Feed            int     `json:"feed_per_s"`
	FeedAfter       int     `json:"feed_after_per_s"`
	ArchiveSeconds  float64 `json:"archive_s"`
	TruncateSeconds float64 `json:"truncate_s"`

	Disk           int64   `json:"disk_bytes"`
	DiskTruncated  int64   `json:"disk_truncated_bytes"`
	DiskAfter      int64   `json:"disk_after_bytes"`
	ArchiveBytes   int64   `json:"archive_bytes"`
	Marks          int64   `json:"disk_marks_bytes"`
	Share          float64 `json:"disk_share_given_back"`
	CompactSeconds float64 `json:"compacted_after_s"`
}

// trial is a log with a long stream, and its archive.
type trial struct {
	keep    uint64
	others  uint64
	dir     string
	conn    *nats.Conn
	archive *archive.Archive
	log     *jetstream.Log
	out     outcome
}

var long = store.StreamID{Type: bank.Accounts.Type, ID: "long"}

func run(ctx context.Context, events, keep, others uint64, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "annals-long-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := embedded.Start(embedded.Config{Dir: filepath.Join(dir, "server"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	t := &trial{keep: keep, others: others, dir: filepath.Join(dir, "server"), out: outcome{Events: events}}
	if t.conn, err = server.Connect(); err != nil {
		return err
	}
	defer t.conn.Close()
	if err := t.write(ctx); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	vault, err := segment.Dir(filepath.Join(dir, "archive"))
	if err != nil {
		return err
	}
	if t.archive, err = archive.Open(ctx, archive.Config{Vault: vault, Namespace: "bank"}); err != nil {
		return err
	}
	defer t.archive.Close()
	if t.log, err = jetstream.Open(ctx, jetstream.Config{Conn: t.conn, Namespace: "bank", Barrier: server.Barrier(), Archive: t.archive}); err != nil {
		return err
	}
	defer t.log.Close()
	if err := t.show(ctx); err != nil {
		return err
	}
	if err := json.NewEncoder(out).Encode(t.out); err != nil {
		return err
	}
	return t.judge()
}

// show measures, archives, and measures again.
func (t *trial) show(ctx context.Context) error {
	if err := t.makeSnapshot(ctx); err != nil {
		return fmt.Errorf("make a snapshot: %w", err)
	}
	before, err := t.look(ctx)
	if err != nil {
		return fmt.Errorf("before the archive: %w", err)
	}
	t.out.Activation, t.out.Replay, t.out.Feed = before.activation, before.replay, before.feed
	if t.out.Raw, err = t.raw(ctx); err != nil {
		return fmt.Errorf("read raw: %w", err)
	}
	if t.out.Disk, err = size(t.dir); err != nil {
		return err
	}
	if err := t.closeBooks(ctx); err != nil {
		return err
	}
	after, err := t.look(ctx)
	if err != nil {
		return fmt.Errorf("after the archive: %w", err)
	}
	t.out.ActivationAfter, t.out.ReplayAfter, t.out.FeedAfter = after.activation, after.replay, after.feed
	t.out.Differences = before.differences(after)
	return t.compacted(ctx)
}

const (
	// markBytes is what the server keeps for a message that it took out of a file
	// with other messages in it, blocks what two files take that are not compacted.
	markBytes = 30
	blocks    = 16 << 20
)

// judge holds what was measured against what is promised.
func (t *trial) judge() error {
	o := &t.out
	var errs []error
	if o.Differences > 0 {
		errs = append(errs, fmt.Errorf("%d things read otherwise than before", o.Differences))
	}
	if most := float64(limit.Milliseconds()); o.Activation >= most || o.ActivationAfter >= most {
		errs = append(errs, fmt.Errorf("an activation takes %.1f ms, after the archive %.1f ms; limit %.0f", o.Activation, o.ActivationAfter, most))
	}
	left := float64(o.Events+o.Others-o.Archived) / float64(o.Events+o.Others)
	if most := int64(left*float64(o.Disk)) + o.Marks + blocks; o.DiskAfter > most {
		errs = append(errs, fmt.Errorf("the directory has %d bytes after the archive, want at most %d", o.DiskAfter, most))
	}
	return errors.Join(errs...)
}

// closeBooks archives all but the last events of the long stream.
func (t *trial) closeBooks(ctx context.Context) error {
	system, err := t.system(true)
	if err != nil {
		return err
	}
	began, truncating := time.Now(), time.Time{}
	report, err := t.archive.Run(ctx, archive.Job{
		Log: stopwatch{t.log, &truncating}, Streams: []store.StreamID{long},
		Cut: func(ctx context.Context, id store.StreamID, version uint64) (store.Head, error) {
			proof, err := system.Prove(ctx, id, version-t.keep)
			return proof.Cut, err
		},
	})
	if err != nil {
		return err
	}
	t.out.ArchiveSeconds, t.out.TruncateSeconds = time.Since(began).Seconds(), time.Since(truncating).Seconds()
	t.out.Archived, t.out.ArchiveBytes = report.Run.Events, report.Run.Size
	if t.others > 0 {
		t.out.Marks = markBytes * int64(report.Run.Commits)
	}
	t.out.DiskTruncated, err = size(t.dir)
	return err
}

// stopwatch is a log that notes when it is truncated.
type stopwatch struct {
	*jetstream.Log
	began *time.Time
}

func (w stopwatch) Truncate(ctx context.Context, id store.StreamID, below store.Head) error {
	*w.began = time.Now()
	return w.Log.Truncate(ctx, id, below)
}

// compacted watches the directory until the server has given back what it will.
func (t *trial) compacted(ctx context.Context) error {
	const most, step, quiet = 6 * time.Minute, 2 * time.Second, 60
	began, last, same := time.Now(), t.out.DiskTruncated, 0
	tick := time.NewTicker(step)
	defer tick.Stop()
	for time.Since(began) < most && (last > t.out.Disk/2 || same < quiet) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		now, err := size(t.dir)
		if err != nil {
			return err
		}
		if same++; now != last {
			last, same = now, 0
			t.out.CompactSeconds = time.Since(began).Seconds()
		}
	}
	t.out.DiskAfter, t.out.Share = last, 1-float64(last)/float64(t.out.Disk)
	return nil
}

// size returns the bytes of all files below a directory.
func size(dir string) (sum int64, err error) {
	err = filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // removed while it was looked at
		}
		if err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

func (t *trial) system(snapshots bool) (*actor.System, error) {
	config := actor.Config{Log: t.log, Aggregates: []actor.Definition{bank.Accounts}, ActivateTimeout: 5 * time.Minute}
	if snapshots {
		config.Snapshots = t.log.Snapshots()
	}
	return actor.NewSystem(config)
}

// median sorts what was measured and returns the middle in milliseconds.
func median(took []time.Duration) float64 {
	slices.Sort(took)
	return took[len(took)/2].Seconds() * 1000
}
