package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/harness"
)

// The roles of a child.
const (
	roleProjector = "projector" // bring views up to date
	roleBare      = "bare"      // take the messages of the log, and nothing else
)

// childOptions are what a child is told.
type childOptions struct {
	role, server, namespace, address string
	only                             string
	workers                          int
	announce                         bool
}

func (o *childOptions) define(f *flag.FlagSet) {
	f.StringVar(&o.role, "role", "", "used for children: what to be")
	f.StringVar(&o.server, "server", "", "used for children: URL of the NATS server")
	f.StringVar(&o.namespace, "namespace", "", "used for children: namespace of the log")
	f.StringVar(&o.address, "store", "", "used for children: where the views are kept")
	f.StringVar(&o.only, "only", "", "used for children: the one view to bring up to date")
	f.IntVar(&o.workers, "workers", 1, "used for children: workers of each view")
	f.BoolVar(&o.announce, "announce", false, "used for children: print each commit's begin and end")
}

func (o childOptions) args() []string {
	return []string{
		"-role", o.role, "-server", o.server, "-namespace", o.namespace, "-store", o.address, "-only", o.only,
		"-workers", fmt.Sprint(o.workers), fmt.Sprintf("-announce=%v", o.announce),
	}
}

// caughtUp is the last line that a child prints: that it came to the log's end,
// and how long that took from the first question to the store.
type caughtUp struct {
	Events  uint64  `json:"events"`
	Seconds float64 `json:"seconds"`
}

// run does what a child is for, until standard input ends: that is when the
// parent is gone.
func (o childOptions) run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // its end is what counts
		cancel()
	}()
	conn, err := nats.Connect(o.server, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer conn.Close()
	do := o.follow
	if o.role == roleBare {
		do = o.bare
	}
	done, err := do(ctx, conn, out)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(done)
}

// follow brings the views up to date and ends.
func (o childOptions) follow(ctx context.Context, conn *nats.Conn, out io.Writer) (done caughtUp, err error) {
	log, err := jetstream.Open(ctx, jetstream.Config{Conn: conn, Namespace: o.namespace})
	if err != nil {
		return done, err
	}
	defer func() { _ = log.Close() }()
	tip, err := log.Tip(ctx)
	if err != nil {
		return done, err
	}
	began := time.Now()
	keep, closed, err := openStore(o.address, conn, o.namespace)
	if err != nil {
		return done, err
	}
	defer func() { _ = closed() }()
	if o.announce {
		keep = announcing{Store: keep, out: out}
	}
	keyring, err := harness.Keyring()
	if err != nil {
		return done, err
	}
	group, err := projector.NewGroup(projector.Config{Log: log, Store: keep, Keyring: keyring, Projections: o.projections()})
	if err != nil {
		return done, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- group.Run(running) }()
	for _, p := range o.projections() {
		if err = group.Wait(ctx, p.Describe().Name, tip); err != nil {
			break
		}
	}
	done.Seconds = time.Since(began).Seconds()
	for _, s := range group.Status(ctx) {
		done.Events = max(done.Events, s.Events)
	}
	stop()
	if runErr := <-ended; err == nil {
		err = runErr
	}
	return done, err
}

// projections are the definitions that a child runs.
func (o childOptions) projections() []projector.Definition {
	applications, activities, workload, outcomes := views.Applications, views.Activities, views.Workload, views.Outcomes
	applications.Workers, activities.Workers, workload.Workers, outcomes.Workers = o.workers, o.workers, o.workers, o.workers
	var chosen []projector.Definition
	for _, d := range []projector.Definition{applications, activities, workload, outcomes} {
		if o.only == "" || d.Describe().Name == o.only {
			chosen = append(chosen, d)
		}
	}
	return chosen
}

// bare takes all messages of the log from the server with the NATS client
// alone: the most that anybody who reads the stream could reach.
func (o childOptions) bare(ctx context.Context, conn *nats.Conn, _ io.Writer) (done caughtUp, err error) {
	js, err := natsjs.New(conn)
	if err != nil {
		return done, err
	}
	stream, err := js.Stream(ctx, "ANNALS_"+o.namespace+"_events")
	if err != nil {
		return done, err
	}
	began := time.Now()
	consumer, err := stream.CreateConsumer(ctx, natsjs.ConsumerConfig{AckPolicy: natsjs.AckNonePolicy, MemoryStorage: true})
	if err != nil {
		return done, err
	}
	for all := consumer.CachedInfo().NumPending; done.Events < all; {
		batch, err := consumer.Fetch(int(min(barePull, all-done.Events)), natsjs.FetchMaxWait(10*time.Second))
		if err != nil {
			return done, err
		}
		for range batch.Messages() {
			done.Events++
		}
		if err := batch.Error(); err != nil {
			return done, err
		}
	}
	done.Seconds = time.Since(began).Seconds()
	return done, nil
}

// barePull is how many messages the bare consumer asks for at once.
const barePull = 5000

// announcing is a store that prints when each commit begins and ends.
type announcing struct {
	projector.Store
	out io.Writer
}

// What an announcing child prints around each commit.
const (
	lineBegin = "begin"
	lineEnd   = "end"
)

// Open implements [projector.Store].
func (a announcing) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := a.Store.Open(ctx, layout)
	if err != nil {
		return nil, err
	}
	return announcingView{View: v, out: a.out}, nil
}

type announcingView struct {
	projector.View
	out io.Writer
}

// Commit implements [projector.View].
func (v announcingView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	_, _ = io.WriteString(v.out, lineBegin+"\n") // a parent that is gone ends this process anyway
	c, err := v.View.Commit(ctx, w)
	_, _ = io.WriteString(v.out, lineEnd+"\n")
	return c, err
}
