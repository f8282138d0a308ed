package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/test/bank"
	"github.com/annals-go/annals/test/harness"
)

func main() { harness.Main("million", start) }

func start(ctx context.Context, args []string, out, tell io.Writer) error {
	f := flag.NewFlagSet("million", flag.ContinueOnError)
	f.SetOutput(tell)
	actors := f.Int("actors", 1_000_000, "how many actors to activate")
	limit := f.Int64("limit", 1_500_000_000, "largest resident memory, in bytes")
	serve := f.Bool("serve", false, "be the server of another million")
	if err := harness.Parse(f, args); err != nil {
		return err
	}
	if *serve {
		return runServer(out)
	}
	return run(ctx, *actors, *limit, out)
}

// runServer prints its URL and serves until standard input ends, which it does
// with the parent.
func runServer(out io.Writer) error {
	server, err := embedded.Start(embedded.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer server.Shutdown()
	if _, err := fmt.Fprintln(out, server.URL()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func startServer() (url string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	child := exec.Command(self, "-serve")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := child.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = child.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start server: %w", err)
	}
	return strings.TrimSpace(line), stop, nil
}

type outcome struct {
	Actors        int     `json:"actors"`
	RSSBytes      int64   `json:"rss_bytes"`
	BytesPerActor int64   `json:"bytes_per_actor"`
	HeapBytes     uint64  `json:"heap_bytes"`
	Seconds       float64 `json:"seconds"`
}

func run(ctx context.Context, actors int, limit int64, out io.Writer) error {
	url, stopServer, err := startServer()
	if err != nil {
		return err
	}
	defer stopServer()
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	log, err := jetstream.Open(ctx, jetstream.Config{Conn: nc, Namespace: "bank", InMemory: true})
	if err != nil {
		return err
	}
	defer log.Close()
	registry := prometheus.NewRegistry()
	system, err := actor.NewSystem(actor.Config{
		Log: log, Snapshots: log.Snapshots(), Aggregates: []actor.Definition{bank.Accounts}, Registerer: registry,
		MaxActors: actors, PassivateAfter: 24 * time.Hour,
	})
	if err != nil {
		return err
	}
	before, began := resident(), time.Now()
	if err := activate(ctx, system, actors); err != nil {
		return err
	}
	took := time.Since(began)
	if err := checkAwake(ctx, system, registry, actors); err != nil {
		return err
	}
	rss := resident()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	o := outcome{
		Actors: system.Active(), RSSBytes: rss, BytesPerActor: (rss - before) / int64(actors),
		HeapBytes: memory.HeapAlloc, Seconds: took.Seconds(),
	}
	if err := json.NewEncoder(out).Encode(o); err != nil {
		return err
	}
	switch {
	case o.Actors != actors:
		return fmt.Errorf("%d actors are active, want %d", o.Actors, actors)
	case o.RSSBytes > limit:
		return fmt.Errorf("%d bytes are resident, limit %d", o.RSSBytes, limit)
	}
	return nil
}

// activate opens an account for each actor, some hundreds at a time.
func activate(ctx context.Context, system *actor.System, actors int) error {
	sender := actor.For(system, bank.Accounts)
	var next, failed atomic.Int64
	var first atomic.Pointer[error]
	var group sync.WaitGroup
	for range 512 {
		group.Go(func() {
			for n := next.Add(1); n <= int64(actors) && ctx.Err() == nil; n = next.Add(1) {
				_, err := sender.ExecuteWith(ctx, name(n), bank.Open{Owner: "Ann"}, actor.Command{ID: fmt.Sprintf("open-%d", n)})
				if err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	group.Wait()
	if err := first.Load(); err != nil {
		return fmt.Errorf("%d commands failed, one with: %w", failed.Load(), *err)
	}
	return ctx.Err()
}

func name(n int64) string { return fmt.Sprintf("account-%07d", n) }

// checkAwake sends one more command to a sample of the actors: none of them may
// have to be activated for it.
func checkAwake(ctx context.Context, system *actor.System, registry *prometheus.Registry, actors int) error {
	sender := actor.For(system, bank.Accounts)
	for n := int64(1); n <= int64(actors); n += max(1, int64(actors)/1000) {
		if r, err := sender.Execute(ctx, name(n), bank.Deposit{Cents: 1}); err != nil || r.Version != 2 {
			return fmt.Errorf("%s: %+v, %w", name(n), r, err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	activations := 0.0
	for _, f := range families {
		if f.GetName() == "annals_actor_activations_total" {
			for _, m := range f.GetMetric() {
				activations += m.GetCounter().GetValue()
			}
		}
	}
	if int(activations) != actors {
		return fmt.Errorf("%.0f activations for %d actors", activations, actors)
	}
	return nil
}

// resident returns the process's resident memory in bytes, after the garbage
// has been given back.
func resident() int64 {
	debug.FreeOSMemory()
	data, err := os.ReadFile("/proc/self/statm")
	var size, pages int64
	if err == nil {
		_, err = fmt.Sscan(string(data), &size, &pages)
	}
	if err != nil {
		panic(errors.Join(errors.New("million needs /proc"), err))
	}
	return pages * int64(os.Getpagesize())
}
